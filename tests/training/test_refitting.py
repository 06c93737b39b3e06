"""``refit=all``: the model that is handed over has trained on all rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seqmodels.training.checkpoint_reading import load_checkpoint
from tests.conftest import Answer

Command = Callable[..., Answer]
ROWS = 61
SERIES = ["data=csv_series", "data.path=my.csv", "data.time=day", "data.input_length=7", "data.horizon=3"]
SMALL = ["cell=gru", "cell.hidden_size=3", "trainer=cpu", "trainer.max_epochs=3", "logger=none", "hydra.run.dir=run"]


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "my.csv"
    days = [f"2024-{1 + number // 28:02}-{1 + number % 28:02}" for number in range(ROWS)]
    path.write_text("day,y\n" + "".join(f"{day},{number % 7}\n" for number, day in enumerate(days)))
    return path


def metrics(command: Command, *options: str) -> dict[str, float]:
    answer = command("evaluate", "run=run", *options, "hydra.run.dir=evaluated")
    assert answer.status == 0, answer.err
    found: dict[str, float] = json.loads(Path("evaluated/metrics.json").read_text())
    return found


@pytest.mark.long
@pytest.mark.usefixtures("series")
def test_all_rows_are_trained_on_for_the_epochs_of_the_best_checkpoint(command: Command) -> None:
    answer = command("train", *SERIES, "data.gaps=allow", *SMALL, "refit=all", "data.batch_size=1")
    assert answer.status == 0, answer.err
    best, refit = (load_checkpoint(f"run/checkpoints/{name}.ckpt") for name in ("best", "refit"))
    epochs = best["epoch"] + 1
    assert json.loads(Path("run/metrics.json").read_text())["refit/epochs"] == epochs
    windows = ROWS - 7 - 3 + 1  # also those across the boundaries of the splits
    assert refit["global_step"] == epochs * windows
    assert best["global_step"] < refit["global_step"]
    torch.testing.assert_close(refit["state_dict"]["model.margin"], best["state_dict"]["model.margin"])
    predicted = [command("predict", "run=run", "input=my.csv", option).out for option in ("ckpt=best", "ckpt=refit")]
    assert predicted[0] != predicted[1] == command("predict", "run=run", "input=my.csv").out
    assert command("predict", "run=run/model", "input=my.csv").out == predicted[1]
    own, other, best_of_other = (
        metrics(command, *options) for options in ([], ["input=my.csv"], ["input=my.csv", "ckpt=best"])
    )
    first = json.loads(Path("run/metrics.json").read_text())
    assert own == pytest.approx({name: first[name] for name in own}, rel=1e-5)
    assert other["test/mse"] != best_of_other["test/mse"], "predict's model is the one that a file tests"
    assert list(json.loads(predicted[1].splitlines()[0])) == [
        *("row", "series", "step", "time", "forecast", "low", "high")
    ]


@pytest.mark.usefixtures("series")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["refit=some"], "refit must be all or null, got 'some'"),
        (["refit=all", "callbacks=none"], "refit=all trains for the number of epochs of the best checkpoint"),
        (["refit=all", "scheduler=plateau"], "refit=all leaves no data to validate on"),
        (["refit=all", "callbacks=[default,averaging]"], "by which callbacks=averaging begins: leave it out"),
        (["refit=all", "trainer.devices=2"], "refit=all trains in one process"),
        (["refit=all", "trainer.devices=auto"], "refit=all trains in one process"),
    ],
)
def test_what_cannot_be_trained_on_all_data_is_refused_first(options: list[str], reason: str, command: Command) -> None:
    answer = command("train", *SERIES, *SMALL, *options)
    assert answer.status == 2
    assert reason in answer.err
