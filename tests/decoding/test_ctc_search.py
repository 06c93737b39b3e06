"""Prefix beam search equals an exhaustive sum over all alignments; the best path is the best alignment."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from seqmodels.decoding import NGram, ctc_beam_search, ctc_best_path

BATCH, TIME, CLASSES, BLANK = 3, 4, 3, 0
LENGTHS = torch.tensor([4, 2, 3])
COUNTS = {"1": 3, "2": 1, "1 1": 1, "1 2": 1, "2 1": 1}


def log_probs(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(BATCH, TIME, CLASSES, dtype=torch.float64, generator=generator)).log_softmax(-1)


def merged(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def exhaustive(row: Tensor, blank: int = BLANK) -> dict[tuple[int, ...], float]:
    """Return the log-probability of each transcript, summed over all alignments."""
    total: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(CLASSES), repeat=len(row)):
        probability = math.exp(sum(float(row[step, label]) for step, label in enumerate(path)))
        total[merged(path, blank)] = total.get(merged(path, blank), 0.0) + probability
    return {transcript: math.log(probability) for transcript, probability in total.items()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_search_finds_every_transcript_with_its_probability(seed: int, blank: int) -> None:
    x = log_probs(seed)
    found = ctc_beam_search(x, LENGTHS, beam_size=200, n_best=200, blank=blank)
    for row, best, length in zip(x, found, LENGTHS.tolist(), strict=True):
        wanted = exhaustive(row[:length], blank)
        assert {tuple(each.tokens): each.score for each in best} == pytest.approx(wanted)
        assert [each.score for each in best] == sorted((each.score for each in best), reverse=True)


@pytest.mark.parametrize(("weight", "bonus"), [(0.7, 0.0), (0.0, 1.5), (1.3, -0.4)])
def test_the_language_model_and_the_bonus_are_part_of_the_score(weight: float, bonus: float) -> None:
    x, model = log_probs(5), NGram(COUNTS, order=2, vocab_size=2)
    found = ctc_beam_search(x, beam_size=200, n_best=200, ngram=model, ngram_weight=weight, token_bonus=bonus)
    for row, best in zip(x, found, strict=True):
        for transcript, score in exhaustive(row).items():
            language = sum(model.log_prob(transcript[:place], token) for place, token in enumerate(transcript))
            wanted = score + weight * language + bonus * len(transcript)
            assert next(each.score for each in best if tuple(each.tokens) == transcript) == pytest.approx(wanted)


def test_a_narrow_beam_keeps_the_best_and_its_rows_do_not_depend_on_each_other() -> None:
    x = log_probs(7)
    found = ctc_beam_search(x, LENGTHS, beam_size=2)
    assert all(len(best) == 1 for best in found)
    for row, length, best in zip(x, LENGTHS.tolist(), found, strict=True):
        assert ctc_beam_search(row[None, :length], beam_size=2) == [best]
        assert best[0].score <= max(exhaustive(row[:length]).values()) + 1e-9


def test_the_best_path_is_the_most_probable_alignment() -> None:
    x = log_probs(2)
    for row, length, found in zip(x, LENGTHS.tolist(), ctc_best_path(x, LENGTHS), strict=True):
        paths = itertools.product(range(CLASSES), repeat=length)
        scores = {path: sum(float(row[step, label]) for step, label in enumerate(path)) for path in paths}
        best = max(scores, key=scores.__getitem__)
        assert tuple(found.tokens) == merged(best, BLANK)
        assert found.score == pytest.approx(scores[best])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_ngram_model_is_a_distribution_and_knows_what_it_counted(order: int) -> None:
    model = NGram({**COUNTS, "1 1 2": 1, "1 2 1": 1}, order=order, vocab_size=2)
    for history in [(), (1,), (2,), (1, 2), (2, 2), (1, 1, 2)]:
        assert sum(math.exp(model.log_prob(history, token)) for token in (1, 2)) == pytest.approx(1)
    # c(1) = 3, c(2) = 1, two types: (3 + 2 / 2) / (4 + 2)
    assert math.exp(model.log_prob([], 1)) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 2, "n_best": 3}, "n_best must be 1 to beam_size=2, got 3"),
        ({"blank": 3}, "blank must be 0 to 2, got 3"),
        ({"lengths": torch.tensor([5, 1, 1])}, "lengths must be 3 numbers from 0 to 4"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ctc_beam_search(log_probs(), **options)  # type: ignore[arg-type]
