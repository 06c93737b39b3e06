"""Progress output of a run."""

import re
from pathlib import Path

import pytest

from seqmodels.training.fit import train
from tests.composing import TINY, composed


def test_every_epoch_prints_its_own_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = train(composed(tmp_path, *TINY, "trainer.max_epochs=3", "cell.hidden_size=5"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    losses = [re.findall(r"train/loss (\S+) .*val/loss (\S+)", line)[0] for line in lines]
    assert len(set(losses)) == 3
    assert losses[-1] == (f"{metrics['train/loss']:.4f}", f"{metrics['val/loss']:.4f}")


def test_training_without_validation_shows_its_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(composed(tmp_path, *TINY, "trainer.limit_val_batches=0", "callbacks=none", "cell.hidden_size=5"))
    assert "train/loss" in capsys.readouterr().out
