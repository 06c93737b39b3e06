"""The examples run as they stand, each in seconds, and arrive at what they say."""

import re
import runpy
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAST = {
    "drop_in.py": r"seqmodels.nn.GRU: [\d.]+ ms",
    "forecast.py": r"plot: .*forecast.html",
    "memory.py": r"LSTM, chrono +0\.9\d+ a step",
    "own_cell.py": r"step 150  loss 0\.000",
}
"""What the last line that each of them prints begins with."""


def test_every_example_is_known_and_short() -> None:
    examples = {path.name: path.read_text("utf-8") for path in (ROOT / "examples").iterdir() if path.suffix == ".py"}
    assert set(examples) == set(LAST)
    for text in examples.values():
        assert text.count("\n# %% ") >= 3, "cells of a notebook"
        assert len(text.splitlines()) < 60


@pytest.mark.parametrize("name", LAST)
def test_an_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert re.match(LAST[name], printed[-1]), printed[-1]
