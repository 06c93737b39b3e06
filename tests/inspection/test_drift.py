"""Inputs that have moved are found, and those that have not are left alone, alike as the steps of a row may be."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqmodels.data.statistics import describe, sampled
from seqmodels.inspection import Shift, shifts
from tests.tasks import small

UNKNOWN = 1


def series(rows: int, seed: int, shift: float = 0.0) -> list[Tensor]:
    """Return series of two channels, each of which lies around a level of its own."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randn(rows, 1, 2, generator=generator)
    noise = torch.randn(rows, 30, 2, generator=generator)
    lengths = torch.randint(9, 31, (rows,), generator=generator).tolist()
    values = 2 * level + 0.1 * noise + torch.tensor([0.0, shift])
    return [row[:length] for row, length in zip(values, lengths, strict=True)]


def texts(rows: int, seed: int, *, unknown: float = 0.0, topic: float = 0.0) -> list[Tensor]:
    """Return texts, each with a favourite word; ``topic`` is the share of a word that is otherwise rare."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(rows):
        length = int(torch.randint(5, 20, (1,), generator=generator))
        tokens = torch.randint(2, 30, (length,), generator=generator)
        draw = torch.rand(3, length, generator=generator)
        favourite = int(torch.randint(2, 30, (1,), generator=generator))
        tokens = torch.where(draw[0] < 0.3, favourite, tokens)
        tokens = torch.where(draw[1] < topic, 7, tokens)
        found.append(torch.where(draw[2] < unknown, UNKNOWN, tokens))
    return found


def by_name(training: list[Tensor], new: list[Tensor]) -> dict[str, Shift]:
    kept = json.loads(json.dumps(describe(training, unknown=UNKNOWN)))
    return {shift.feature: shift for shift in shifts(kept, new)}


@pytest.mark.parametrize("draw", [series, texts])
@pytest.mark.parametrize("rows", [3, 40, 300])
def test_new_rows_of_the_same_kind_do_not_drift(draw: Callable[..., list[Tensor]], rows: int) -> None:
    """Steps of a row are alike, so that as many independent values would be far more certain."""
    training = describe(draw(400, 0), unknown=UNKNOWN)
    for seed in range(1, 9):
        assert not [shift.feature for shift in shifts(training, draw(rows, seed)) if shift.drifted]


def test_the_channel_that_moves_is_found_and_no_other() -> None:
    found = by_name(series(400, 0), series(60, 1, shift=3.0))
    assert [name for name, shift in found.items() if shift.drifted] == ["1"]
    assert found["1"].size == "major"


def test_a_word_that_becomes_frequent_and_unknown_ones_are_found() -> None:
    found = by_name(texts(400, 0), texts(200, 1, topic=0.2))
    assert [name for name, shift in found.items() if shift.drifted] == ["tokens"]
    assert int((found["tokens"].now - found["tokens"].before).argmax()) == found["tokens"].bins.index(7)
    found = by_name(texts(400, 0, unknown=0.01), texts(200, 1, unknown=0.06))
    assert found["unknown"].size == "major"


def test_unknown_tokens_are_judged_by_rows_that_the_vocabulary_was_not_learnt_from() -> None:
    """No training text has an unknown word, and of others one in twelve words is."""
    train, val, new = texts(400, 0), texts(200, 1, unknown=0.08), texts(200, 2, unknown=0.08)
    kept = describe(train, unknown=UNKNOWN, unseen=val)
    assert not next(shift for shift in shifts(kept, new) if shift.kind == "unknown").drifted
    kept = describe(train, unknown=UNKNOWN)
    assert next(shift for shift in shifts(kept, new) if shift.kind == "unknown").drifted


def test_texts_that_become_longer_are_found() -> None:
    longer = [torch.cat([row, row[:9]]) for row in texts(200, 1)]
    assert by_name(texts(400, 0), longer)["length"].size == "major"


def test_the_index_is_that_of_the_shares() -> None:
    """Half of the values were below 0, and 9 of 10 are now."""
    training = [torch.tensor([-1.0, 1.0] * 50)[:, None]] * 1000
    new = [torch.tensor([*[-1.0] * 9, 1.0] * 10)[:, None]] * 1000
    wanted = 0.4 * torch.tensor(9.0).log()
    assert by_name(training, new)["0"].psi == pytest.approx(float(wanted), rel=1e-3)


def test_numbers_and_tokens_are_not_compared() -> None:
    with pytest.raises(ValueError, match="of tokens and the new rows are numbers"):
        shifts(describe(texts(5, 0)), series(5, 0))
    with pytest.raises(ValueError, match="no new rows"):
        shifts(describe(texts(5, 0)), [])


def test_a_sample_of_a_split_is_its_rows_without_padding_and_always_the_same() -> None:
    split = small.parity().split("train")
    rows = sampled(split)
    assert sorted(map(len, rows)) == sorted(split.lengths.tolist())
    assert all(map(torch.equal, rows, sampled(split)))
    assert len(sampled(split, rows=7)) == 7
    assert sum(row.numel() for row in sampled(split, values=20)) <= 20
