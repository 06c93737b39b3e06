"""What ``run=`` names."""

import os
from pathlib import Path

import pytest

from seqmodels.errors import ConfigError
from seqmodels.training.finding import run_folder, weights_of
from seqmodels.training.runs import write_json


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Finished runs in two folders, one after the other, and one that was not finished."""
    runs = {"a/1": {"val/loss": 3.0, "best/val/loss": 1.5}, "a/2": {"val/loss": 2.0}, "b/1": {"test/loss": 1.0}}
    for number, (name, metrics) in enumerate(runs.items()):
        folder = tmp_path / "logs" / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "best.ckpt").touch()
        write_json(folder / "metrics.json", metrics)
        os.utime(folder / "metrics.json", (number, number))
    (tmp_path / "logs" / "a" / "3" / "checkpoints").mkdir(parents=True)
    return tmp_path / "logs"


def test_latest_is_the_run_that_finished_last(logs: Path) -> None:
    assert run_folder("latest", logs) == logs / "b" / "1"


def test_best_is_the_lowest_loss_of_the_best_checkpoints(logs: Path) -> None:
    assert run_folder("best:a", logs) == logs / "a" / "1"


def test_a_folder_called_latest_is_that_folder(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(logs)
    Path("latest").mkdir()
    assert run_folder("latest") == Path("latest")


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("nowhere", "run=nowhere: there is no such folder or file"),
        ("best:b", "run=best:b: no finished run in .* has a val/loss"),
        ("best:aa", "has a val/loss; did you mean 'a'"),
    ],
)
def test_a_run_that_is_not_there_is_named(run: str, reason: str, logs: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        run_folder(run, logs)


def test_the_weights_are_those_of_the_refit_if_there_is_one(logs: Path) -> None:
    run, checkpoints = str(logs / "a" / "1"), logs / "a" / "1" / "checkpoints"
    assert weights_of(run, None) == checkpoints / "best.ckpt"
    (checkpoints / "refit.ckpt").touch()
    assert weights_of(run, None) == checkpoints / "refit.ckpt"
    assert weights_of(run, "best") == checkpoints / "best.ckpt"


def test_a_checkpoint_or_a_model_folder_is_what_is_loaded(logs: Path) -> None:
    path = logs / "a" / "1" / "checkpoints" / "best.ckpt"
    assert weights_of(str(path), None) == path
    (model := logs / "model").mkdir()
    (model / "model.safetensors").touch()
    assert weights_of(str(model), None) == model
    with pytest.raises(ConfigError, match="ckpt=last chooses a checkpoint of a run"):
        weights_of(str(model), "last")
