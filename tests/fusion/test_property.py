"""Cells that nobody planned for, drawn at random, through both executors against ``eager``."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.backends.fakes import random_state
from tests.fusion.random_cells import INPUT, PlainCell, RandomCell
from tests.fusion.running import needs_compiler, refused_or_different
from tests.fusion.varied_cells import VariedCell, change

MOST_REFUSED = 0.4
"""The part of varied cells that may be refused: were it larger, the others would say little."""

FOUND_WRONG = "is not the step"
"""What the engine says of a program that it has compared with the step."""


@pytest.fixture
def as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def batches(first: int, last: int, size: int) -> list[Any]:
    """Return seeds in batches: a test each would cost more than what it tests."""
    ranges = [range(start, min(start + size, last)) for start in range(first, last, size)]
    return [pytest.param(seeds, id=f"{seeds.start}-{seeds.stop - 1}") for seeds in ranges]


def options(seed: int) -> tuple[Tensor, dict[str, Any]]:
    """Return an input, and whether a sequence ends early and is read backwards."""
    batch = 7 + seed % 3
    x = torch.randn(batch, 4, INPUT, dtype=torch.float64)
    return x, {"lengths": torch.randint(1, 5, (batch,)) if seed % 2 else None, "reverse": seed % 5 == 0}


def verdict(cell: RandomCell, seed: int) -> tuple[str, list[str]]:
    """Say why a cell is refused, if it is, and in what it differs from ``eager``.

    A program that was derived and then found to be another than the step is a difference too, though nobody sees it.
    """
    x, rest = options(seed)
    given = cell.given_state(x) if isinstance(cell, VariedCell) else random_state(cell, x)
    refused, different = refused_or_different(cell, x, given if seed % 3 else None, **rest)
    return ("", [refused]) if FOUND_WRONG in refused else (refused, different)


def plain_failures(seeds: range) -> list[str]:
    """Compare plain cells; a refusal is a failure."""
    failures = []
    for seed in seeds:
        cell = PlainCell(seed).double()
        refused, different = verdict(cell, seed)
        if refused or different:
            failures.append(f"seed {seed}: {refused or different}\n{cell}")
    return failures


def varied_failures(seeds: range) -> tuple[list[str], list[str]]:
    """Compare varied cells, every third once more after a change; return the refusals and the failures."""
    refusals, failures = [], []
    for seed in seeds:
        cell = VariedCell(seed).double()
        refused, different = verdict(cell, seed)
        if not (refused or different or seed % 3):
            what = change(cell, seed)
            different = [f"after a change of {what}: {text}" for text in verdict(cell, seed)[1]]
        if refused:
            refusals.append(f"seed {seed}: {refused}")
        if different:
            failures.append(f"seed {seed}: {different}\n{cell}")
    return refusals, failures


def assert_agreement(seeds: range) -> None:
    refusals, failures = varied_failures(seeds)
    assert not failures, "\n\n".join(failures)
    assert len(refusals) <= MOST_REFUSED * len(seeds), "\n".join(refusals)


@pytest.mark.usefixtures("as_torch_operators")
@pytest.mark.parametrize("seeds", batches(0, 20, 10))
def test_plain_cells_equal_eager(seeds: range) -> None:
    assert not (failures := plain_failures(seeds)), "\n\n".join(failures)


@pytest.mark.long
@pytest.mark.usefixtures("as_torch_operators")
@pytest.mark.parametrize("seeds", batches(1000, 1040, 20))
def test_varied_cells_equal_eager_or_are_refused(seeds: range) -> None:
    assert_agreement(seeds)


@pytest.mark.long
@needs_compiler
def test_plain_cells_equal_eager_in_compiled_code() -> None:
    assert not (failures := plain_failures(range(100, 103))), "\n\n".join(failures)


@pytest.mark.long
@needs_compiler
def test_varied_cells_equal_eager_in_compiled_code_or_are_refused() -> None:
    assert_agreement(range(2000, 2006))


@pytest.mark.slow
@pytest.mark.usefixtures("as_torch_operators")
@pytest.mark.parametrize("seeds", batches(10_000, 12_000, 100))
def test_many_varied_cells_equal_eager_or_are_refused(seeds: range) -> None:
    assert_agreement(seeds)
