"""Progress output of a run."""

import re
import sys
from pathlib import Path

import pytest

from seqmodels.training.callbacks.progress_bar import _shown
from seqmodels.training.fit import train
from tests.composing import PLAIN, TINY, composed

SMALL = [*TINY, *PLAIN, "cell.hidden_size=5", "logger=none"]


@pytest.mark.parametrize("terminal", [False, True])
def test_every_epoch_leaves_a_line_with_its_own_losses_and_the_best_so_far_is_marked(
    terminal: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "90")
    metrics = train(composed(tmp_path, *SMALL, "trainer.max_epochs=6", "optimizer.lr=0.3", "scheduler=constant"))
    lines = re.findall(r"epoch \d+/\d+  .* s$", capsys.readouterr().out, flags=re.MULTILINE)
    assert [line.split("  ")[0] for line in lines] == [f"epoch {number}/6" for number in range(1, 7)]
    losses = [re.findall(r"train/loss (\S+) .*val/loss ([\d.]+)(\*?)", line)[0] for line in lines]
    assert losses[-1][:2] == (f"{metrics['train/loss']:.4f}", f"{metrics['val/loss']:.4f}")
    validated = [float(loss) for _, loss, _ in losses]
    assert [mark for *_, mark in losses] == [
        "*" * (loss < min([9.0, *validated[:number]])) for number, loss in enumerate(validated)
    ]
    assert {mark for *_, mark in losses} == {"*", ""}


def test_training_without_validation_shows_its_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(composed(tmp_path, *SMALL, "trainer.limit_val_batches=0", "callbacks=none", "trainer.max_epochs=2"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("train/loss" in line for line in lines)


def test_a_line_comes_with_each_validation_and_counts_what_ends_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = [*SMALL, "trainer.limit_train_batches=4", "callbacks.early_stopping=null"]
    train(composed(tmp_path / "a", *every, "+trainer.val_check_interval=2", "trainer.max_epochs=2"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 0.5/2", "epoch 1/2", "epoch 1.5/2", "epoch 2/2"]
    assert ["train/loss" in line for line in lines] == [False, True, False, True], "stale ones are not repeated"

    by_steps = ["trainer.max_epochs=-1", "trainer.max_steps=14", "trainer.check_val_every_n_epoch=2"]
    train(composed(tmp_path / "b", *every, *by_steps))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 8/14 (epoch 2)", "step 14/14 (epoch 3.5)"]
    train(composed(tmp_path / "c", *every, "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]
    assert ["val/loss" in line for line in lines] == [True, False], "the last epoch is not validated"


def test_many_lines_become_fewer() -> None:
    shown = [count for count in range(1, 5001) if _shown(count)]
    assert shown == [*range(1, 51), *range(60, 501, 10), *range(600, 5001, 100)]
