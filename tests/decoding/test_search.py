"""Searches against brute force, on models so small that all sequences can be listed; rows do not meet in a batch."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from seqmodels.decoding import Hypothesis, Sampling, beam_search, greedy, sample
from seqmodels.sequence import Shared

VOCAB, SOURCE, SIZE, END, LIMIT = 3, 4, 5, 0, 4
ALL = 31  # sequences of at most 4 of these tokens: 15 that end, 16 that do not
PENALTIES = [(0.0, 0.0), (0.8, 0.0), (0.0, 0.6), (1.3, 0.4)]


class Memory(NamedTuple):
    hidden: Tensor  # (rows, size)
    coverage: Tensor  # (rows, source)
    source: Shared  # (batch, source, size)


class Model:
    """A random network that reads a source by attention: its distributions depend on the row and all tokens before."""

    def __init__(self, rows: int, *, end_bias: float = 0.0) -> None:
        draw = partial(torch.randn, dtype=torch.float64)
        self.embedding, self.recurrent = draw(VOCAB, SIZE), draw(SIZE, SIZE)
        self.output = 2 * draw(SIZE, VOCAB)
        self.bias = torch.tensor([end_bias, 0.0, 0.0], dtype=torch.float64)
        self.source = draw(rows, SOURCE, SIZE)
        self.steps = 0

    def begin(self, *rows: int) -> Memory:
        source = self.source[list(rows)] if rows else self.source
        hidden = source.new_zeros(len(source), SIZE)
        return Memory(hidden, source.new_zeros(len(source), SOURCE), Shared((source,)))

    def step(self, tokens: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        self.steps += 1
        (source,) = state.source.value
        queries = state.hidden.view(len(source), -1, SIZE)  # a copy of the source for each hypothesis is not needed
        weights = (queries @ source.transpose(1, 2)).softmax(-1)
        context, weights = (weights @ source).flatten(0, 1), weights.flatten(0, 1)
        hidden = (state.hidden @ self.recurrent + self.embedding[tokens] + context).tanh()
        log_probs = (hidden @ self.output + self.bias).log_softmax(-1)
        return log_probs, Memory(hidden, state.coverage + weights, state.source)

    def search(self, rows: tuple[int, ...] = (), **options: Any) -> list[list[Hypothesis]]:
        """Search in all rows, or in some of them."""
        state = self.begin(*rows)
        start = torch.ones(len(state.hidden), dtype=torch.int64)
        given = {"max_length": LIMIT, "coverage_of": lambda state: state.coverage, **options}
        return beam_search(self.step, state, start=start, end=END, **given)


def every(model: Model, row: int, penalties: tuple[float, float], limit: int = LIMIT) -> list[Hypothesis]:
    """Return all sequences of a row, best first."""

    def follow(state: Memory, token: int, tokens: list[int], log_prob: float) -> Iterator[Hypothesis]:
        log_probs, state = model.step(torch.tensor([token]), state)
        for chosen, gain in enumerate(log_probs[0].tolist()):
            total, length = log_prob + gain, len(tokens) + 1
            if chosen == END or length == limit:
                cover = sum(math.log(min(1.0, share)) for share in state.coverage[0].tolist())
                score = total / ((5 + length) / 6) ** penalties[0] + penalties[1] * cover
                written = tokens if chosen == END else [*tokens, chosen]
                yield Hypothesis(written, score, total, chosen == END)
            else:
                yield from follow(state, chosen, [*tokens, chosen], total)

    return sorted(follow(model.begin(row), 1, [], 0.0), key=lambda found: -found.score)


def same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.complete for one in found] == [one.complete for one in expected]
    for field in ("score", "log_prob"):
        assert [getattr(one, field) for one in found] == pytest.approx([getattr(one, field) for one in expected])


@pytest.mark.parametrize("penalties", PENALTIES)
def test_a_beam_for_all_sequences_ranks_them_as_brute_force_does(penalties: tuple[float, float]) -> None:
    model = Model(3)
    options: dict[str, Any] = {"length_penalty": penalties[0], "coverage_penalty": penalties[1]}
    found = model.search(beam=ALL, n_best=ALL, **options)
    best = model.search(beam=ALL, **options)
    for row in range(3):
        expected = every(model, row, penalties)
        assert len(expected) == ALL
        same(found[row], expected)
        same(best[row], expected[:1])


def plainly(model: Model, row: int, beam: int, penalties: tuple[float, float], limit: int) -> list[Hypothesis]:
    """Search for a row as documented, one hypothesis after the other, until all have ended; return them, best first."""
    alive: list[tuple[float, list[int], Memory]] = [(0.0, [], model.begin(row))]
    ended: list[Hypothesis] = []
    for length in range(1, limit + 1):
        longer = []
        for total, tokens, state in alive:
            log_probs, after = model.step(torch.tensor([[1, *tokens][-1]]), state)
            longer += [(total + gain, [*tokens, token], after) for token, gain in enumerate(log_probs[0].tolist())]
        kept = sorted(longer, key=lambda one: -one[0])[: beam - len(ended)]
        alive = [one for one in kept if one[1][-1] != END and length < limit]
        for total, tokens, state in kept:
            if tokens[-1] == END or length == limit:
                cover = sum(math.log(min(1.0, share)) for share in state.coverage[0].tolist())
                score = total / ((5 + length) / 6) ** penalties[0] + penalties[1] * cover
                ended.append(Hypothesis([token for token in tokens if token != END], score, total, tokens[-1] == END))
    return sorted(ended, key=lambda found: -found.score)


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("beam", [2, 3, 5])
def test_a_search_finds_what_it_would_without_batches_and_stopping_early(
    beam: int, penalties: tuple[float, float]
) -> None:
    model = Model(20, end_bias=1.0)
    options: dict[str, Any] = {"length_penalty": penalties[0], "coverage_penalty": penalties[1], "max_length": 10}
    plain = [plainly(model, row, beam, penalties, 10) for row in range(20)]
    for n_best in range(1, beam + 1):
        for found, expected in zip(model.search(beam=beam, n_best=n_best, **options), plain, strict=True):
            same(found, expected[:n_best])


def test_a_search_stops_when_what_is_left_cannot_win() -> None:
    steps = []

    def mostly_empty(tokens: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        steps.append(len(tokens))
        first = torch.tensor([0.9, 0.06, 0.04]).log()  # the others never end
        return torch.where((tokens == 1)[:, None], first, torch.tensor([-torch.inf, -torch.inf, 0.0])), state

    options: dict[str, Any] = {"start": torch.tensor([1, 1]), "end": 0, "max_length": 50, "beam": 3}
    assert [found.tokens for (found,) in beam_search(mostly_empty, (), **options)] == [[], []]
    assert steps == [6]
    steps.clear()
    assert all(len(found.tokens) == 50 for (found,) in beam_search(mostly_empty, (), length_penalty=2.0, **options))
    assert len(steps) == 50


@pytest.mark.parametrize("penalties", PENALTIES)
def test_a_beam_of_one_is_greedy_search(penalties: tuple[float, float]) -> None:
    model = Model(30)
    options: dict[str, Any] = {"length_penalty": penalties[0], "coverage_penalty": penalties[1]}
    searched = model.search(beam=1, max_length=9, **options)
    start = torch.ones(30, dtype=torch.int64)
    likeliest = greedy(model.step, model.begin(), start=start, end=END, max_length=9)
    for (found,), (expected,) in zip(searched, likeliest, strict=True):
        same([found._replace(score=found.log_prob)], [expected])
    assert len({len(found.tokens) for (found,) in likeliest}) > 3  # rows end at several times
    assert {found.complete for (found,) in likeliest} == {False, True}


def test_hypotheses_do_not_depend_on_the_batch_that_a_row_is_in() -> None:
    model = Model(12, end_bias=0.5)
    limits = torch.arange(12) % 7 + 1
    options: dict[str, Any] = {"beam": 3, "n_best": 3, "length_penalty": 0.7, "coverage_penalty": 0.2}
    together = model.search(max_length=limits, **options)
    for row in range(12):
        (alone,) = model.search((row,), max_length=int(limits[row]), **options)
        same(together[row], alone)
        assert max(len(found.tokens) + found.complete for found in alone) <= limits[row]
    for row, other in ((0, 5), (7, 7)):
        same(model.search((other, row), max_length=limits[[other, row]], **options)[1], together[row])


def test_samples_are_drawn_from_the_model_and_come_with_their_log_probabilities() -> None:
    model = Model(2)
    start = torch.ones(2, dtype=torch.int64)
    draw = partial(Sampling().choose, generator=torch.Generator().manual_seed(3))
    found = sample(model.step, model.begin(), start=start, end=END, max_length=LIMIT, choose=draw, samples=2000)
    for row, samples in enumerate(found):
        probabilities = [one.log_prob for one in samples]
        assert probabilities == sorted(probabilities, reverse=True)
        for expected in every(model, row, (0.0, 0.0)):
            mine = [one for one in samples if one.tokens == expected.tokens and one.complete == expected.complete]
            assert len(mine) / 2000 == pytest.approx(math.exp(expected.log_prob), abs=0.035)
            assert [one.log_prob for one in mine] == pytest.approx([expected.log_prob] * len(mine))


def test_at_temperature_0_a_sample_is_what_greedy_search_finds() -> None:
    model = Model(9)
    options: dict[str, Any] = {"start": torch.ones(9, dtype=torch.int64), "end": END, "max_length": 6}
    choose = Sampling(temperature=0).choose
    found = sample(model.step, model.begin(), choose=choose, samples=2, **options)
    for pair, (expected,) in zip(found, greedy(model.step, model.begin(), **options), strict=True):
        same(pair, [expected, expected])


def test_tokens_of_probability_0_are_never_written() -> None:
    def only(tokens: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        return torch.tensor([-torch.inf, 0.0]).expand(len(tokens), 2), state

    (found,) = beam_search(only, (), start=torch.tensor([0]), end=0, max_length=3, beam=4, n_best=4)
    assert found == [Hypothesis([1, 1, 1], 0.0, 0.0, False)]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_row_without_hypotheses_is_named(value: float) -> None:
    def broken(tokens: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        log_probs = torch.full((len(tokens), 3), -1.0)
        log_probs[len(tokens) // 2 :] = value
        return log_probs, state

    with pytest.raises(ValueError, match="row 1 has no hypothesis: log-probabilities are NaN, or all minus infinity"):
        beam_search(broken, (), start=torch.tensor([1, 1]), end=0, max_length=2, beam=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam must be at least 1, got 0"),
        ({"n_best": 4}, r"n_best must lie in \[1, beam\], got 4 with beam=3"),
        ({"length_penalty": -0.5}, "length_penalty must not be negative or infinite, got -0.5"),
        ({"coverage_penalty": 0.1, "coverage_of": None}, "coverage_penalty needs coverage_of"),
        ({"max_length": 0}, "max_length must be at least 1, got 0 in row 0"),
        ({"max_length": torch.tensor([3, 2, -1])}, "max_length must be at least 1, got -1 in row 2"),
        ({"max_length": torch.tensor([3, 2])}, r"max_length must have shape \(3,\), one a row, got \(2,\)"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Model(3).search(**{"beam": 3, **options})


def test_a_start_is_one_token_a_row() -> None:
    model = Model(3)
    with pytest.raises(ValueError, match=r"start must be a token for each row, \(batch,\), got torch.int64 \(3, 1\)"):
        greedy(model.step, model.begin(), start=torch.ones(3, 1, dtype=torch.int64), end=END, max_length=3)
    options: dict[str, Any] = {"start": torch.ones(3, dtype=torch.int64), "end": END, "max_length": 3}
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        sample(model.step, model.begin(), choose=Sampling().choose, samples=0, **options)
