"""What ``run=`` names."""

import os
from pathlib import Path

import pytest

from seqmodels.errors import ConfigError
from seqmodels.system.locks import occupied
from seqmodels.training.finding import latest_unfinished, run_folder, weights_of
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


def test_a_name_is_the_newest_run_that_is_called_so(logs: Path) -> None:
    names = [f"2026-11-27_12-49-4{number}-123456_gru-64-seed1" for number in range(3)]
    for number, name in enumerate(names):
        folder = logs / "a" / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").touch()
        (folder / "environment.json").touch()
        if number < 2:
            write_json(folder / "metrics.json", {})
            os.utime(folder / "metrics.json", (number, number))
    assert run_folder("gru-64-seed1", logs).name == names[1], "the last one has not finished"
    assert run_folder(names[2], logs).name == names[2]
    assert run_folder("a/1", logs) == logs / "a" / "1"
    with pytest.raises(ConfigError, match="did you mean 'gru-64-seed1'"):
        run_folder("gru-64-seed", logs)
    with pytest.raises(ConfigError, match="no run of this name"):
        run_folder("1", logs)  # the job of some multirun
    assert latest_unfinished(logs).name == names[2]
    with occupied(logs / "a" / names[2]), pytest.raises(ConfigError, match="there is no interrupted run"):
        latest_unfinished(logs)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("nowhere", "run=nowhere: there is no such folder or file"),
        ("best:b", "run=best:b: no finished run in .* has a val/loss"),
        ("best:aa", "run=best:aa: there is no folder .*aa; did you mean 'a'"),
        ("best", "best:NAME is the best one in logs/NAME"),
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
