"""The end of a training: why it came, which validation was the best, and the validation after the last step."""

import csv
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from seqmodels.training.checkpointing import load_task
from seqmodels.training.fit import train
from seqmodels.training.model_folder import load_model
from tests.composing import composed

BATCHES = 3
DIGITS = [
    *("cell.hidden_size=5", "trainer=cpu", f"trainer.limit_train_batches={BATCHES}", "trainer.limit_val_batches=2"),
    *("trainer.limit_test_batches=1", "trainer.max_epochs=4", "logger=none"),
]
STILL = ["optimizer.lr=0", "scheduler=constant", "callbacks.early_stopping.patience=2"]
THRESHOLD = ["+callbacks.early_stopping.stopping_threshold=99"]
NEVER = ["trainer.check_val_every_n_epoch=9"]


class StopIn(Callback):
    """A callback of a user, which ends training."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        trainer.should_stop = True


@pytest.mark.parametrize(
    ("overrides", "callbacks", "expected"),
    [
        ([], [], "4 epochs, 12 steps: trainer.max_epochs=4 reached; best val/loss "),
        (["trainer.max_steps=7"], [], "2.33 epochs, 7 steps: trainer.max_steps=7 reached; best val/loss "),
        (STILL, [], "3 epochs, 9 steps: early stopping, val/loss has not improved for 2 validations; best val/loss "),
        (THRESHOLD, [], "1 epoch, 3 steps: early stopping, Stopping threshold reached: val/loss = "),
        (["+trainer.max_time={seconds: 0}"], [], "1 epoch, 3 steps: trainer.max_time reached; best val/loss "),
        ([], [StopIn()], "1 epoch, 3 steps: a callback asked to stop (trainer.should_stop); best val/loss "),
        (NEVER, [], "4 epochs, 12 steps: trainer.max_epochs=4 reached; without a validation"),
    ],
)
def test_a_run_says_how_long_it_trained_and_why_it_ended(
    overrides: list[str], callbacks: list[Callback], expected: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = train(composed(tmp_path, *DIGITS, *overrides), *callbacks)
    (line,) = [text for text in caplog.messages if text.startswith("training ended")]
    assert line.startswith(f"training ended after {expected}")
    epochs, steps = re.findall(r"after ([\d.]+) epochs?, (\d+) steps", line)[0]
    assert (metrics["epochs"], metrics["steps"]) == (float(epochs), int(steps))
    if "best/epoch" in metrics:
        assert line.endswith(f"{metrics['best/val/loss']:.4g} at epoch {metrics['best/epoch']}")


def test_the_best_metrics_and_the_model_are_those_of_the_best_validation_also_without_a_test(tmp_path: Path) -> None:
    fast = ["optimizer.lr=0.5", "scheduler=constant", "trainer.max_epochs=9"]
    metrics = train(composed(tmp_path, *DIGITS, *fast, "logger=csv", "test=false"))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/loss"]]
    losses = [float(row["val/loss"]) for row in rows]
    best = losses.index(min(losses))
    assert best < len(rows) - 1, "else the last validation would pass for the best"
    assert (metrics["best/epoch"], metrics["best/step"]) == (best + 1, BATCHES * (best + 1))
    expected = {f"best/{name}": float(value) for name, value in rows[best].items() if name.startswith("val/")}
    assert {name: metrics[name] for name in metrics if name.startswith("best/val/")} == pytest.approx(expected)
    assert metrics["val/loss"] == pytest.approx(losses[-1])
    x, lengths = torch.randn(3, 7, 8), torch.tensor([7, 2, 5])
    answers = [load_task(tmp_path / "checkpoints" / name).model(x, lengths) for name in ("best.ckpt", "last.ckpt")]
    assert [torch.equal(load_model(tmp_path / "model")(x, lengths), other) for other in answers] == [True, False]


TEXTS = "text,label\n" + "".join(f"word{row % 7} other word{row % 5},{'ab'[row % 2]}\n" for row in range(60))
VALUES = "y\n" + "".join(f"{row % 7}.5\n" for row in range(90))
FILES = {
    "text_csv": (TEXTS, ["data.batch_size=4"]),
    "csv_series": (VALUES, ["data.target=y", "data.input_length=7", "data.horizon=2", "data.batch_size=4"]),
    "text": ("a few words of a book\n" * 90, ["vocabulary=character", "data.batch_size=2", "data.bptt=9"]),
}


@pytest.mark.parametrize("data", FILES)
def test_steps_below_an_epoch_train_validate_save_and_test(data: str, tmp_path: Path) -> None:
    content, overrides = FILES[data]
    (tmp_path / "my.csv").write_text(content)
    folder = tmp_path / "run"
    options = [f"data={data}", f"data.path={tmp_path / 'my.csv'}", *overrides, "trainer=cpu", "logger=none"]
    metrics = train(composed(folder, *options, "cell.hidden_size=3", "trainer.max_steps=3"))
    assert metrics["steps"] == metrics["best/step"] == 3
    assert 0 < metrics["epochs"] == metrics["best/epoch"] < 1
    assert {"test/loss", "val/loss", "train/loss", "best/val/loss"} <= {*metrics}
    assert {path.name for path in (folder / "checkpoints").glob("*.ckpt")} == {"last.ckpt", "best.ckpt"}
    assert (folder / "model" / "model.safetensors").is_file()
    assert json.loads((folder / "metrics.json").read_text()) == metrics
