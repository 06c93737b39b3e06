"""The losses of 50 steps of every task equal the stored ones; ``scripts/golden_losses.py --update`` replaces these."""

import json
from pathlib import Path

import pytest

from tests.golden.runs import EXACT, GOLDEN, STEPS, losses, runs

NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def test_every_run_has_its_losses(tmp_path: Path) -> None:
    assert sorted(runs(tmp_path)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_of_fifty_steps_are_those_that_are_kept(name: str, tmp_path: Path) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    now = losses(tmp_path / "run", runs(tmp_path)[name], *EXACT)
    assert len(now) == STEPS
    assert now == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize("name", ["classification_numbers", "classification_tokens", "regression", "language_modeling"])
def test_the_fastest_back_end_learns_in_single_precision_what_eager_learns_in_double(name: str, tmp_path: Path) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    assert losses(tmp_path / "run", runs(tmp_path)[name]) == pytest.approx(kept, rel=2e-3)
