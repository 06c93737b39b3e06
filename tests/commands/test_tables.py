"""The table that ends a training: what is of the best checkpoint, what of the last epoch."""

import sys

import pytest

from seqmodels.commands.tables import print_metrics

RUN = {
    **{f"{stage}/{name}": 0.25 for stage in ("val", "test") for name in ("loss", "mse", "raw_mae", "coverage")},
    **{f"test/{prefix}_mse": 1.5 for prefix in ("persistence", "seasonal_naive")},
    "train/loss": 0.125,
    "best/val/loss": 0.0625,
    "best/val/mse": 0.03125,
    "best/epoch": 37,
    "best/step": 370,
    "epochs": 57,
    "steps": 570,
    "parameters": 123456,
    "seconds": 12.3,
    "refit/epochs": 37,
}


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each row of a printed table by the first one."""
    lines = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 1}


def test_best_and_last_have_columns_beside_the_baselines_within_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    print_metrics(RUN, "logs/run")
    out = capsys.readouterr().out
    table = rows(out)
    assert table[""] == ["best", "last", "", ""]
    assert table["metric"] == ["epoch 37", "epoch 57", "persistence", "seasonal_naive"]
    assert table["test/mse"] == ["0.25", "", "1.5", "1.5"]
    assert table["val/loss"] == ["0.0625", "0.25", "", ""]
    assert table["val/coverage"] == ["", "0.25", "", ""]
    assert table["train/loss"] == ["", "0.125", "", ""]
    assert not {"parameters", "best/epoch", "test/persistence_mse"} & {*table}
    assert out.splitlines()[-2:] == ["parameters 123,456, epochs 57, steps 570, seconds 12.3", "run folder: logs/run"]
    assert max(map(len, out.splitlines())) <= 80


def test_without_a_best_checkpoint_the_last_epoch_was_tested(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics({name: value for name, value in RUN.items() if not name.startswith("best/")}, "logs/run")
    table = rows(capsys.readouterr().out)
    assert (table["metric"][0], table["test/loss"][0], table["val/loss"][0]) == ("epoch 57", "0.25", "0.25")


def test_an_evaluation_has_values_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics({name: value for name, value in RUN.items() if name.startswith("test/")}, "logs/run")
    out = capsys.readouterr().out
    assert rows(out)["metric"] == ["value", "persistence", "seasonal_naive"]
    assert "parameters" not in out
