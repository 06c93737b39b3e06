"""Checkpoints that older versions wrote: ``tests/legacy/make.py`` made them, with what their networks said then."""

import json
from pathlib import Path

import pytest
import torch

from seqmodels.checkpoint_file import read_checkpoint
from seqmodels.checkpoint_format import FORMAT
from seqmodels.checkpointing import load_trained
from seqmodels.training import train
from tests.composing import TINY, composed
from tests.conftest import TOLERANCE

FOLDER = Path(__file__).parent / "legacy"
KEPT = sorted(FOLDER.glob("*.ckpt"))


def test_every_version_is_kept() -> None:
    versions = {torch.load(path, weights_only=True).get("format", 0) for path in KEPT}
    assert versions == set(range(FORMAT + 1))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_checkpoint_of_any_version_says_what_it_said(path: Path) -> None:
    task, recipe = load_trained(path)
    x, lengths = torch.arange(2 * 5 * 8).reshape(2, 5, 8).sin(), torch.tensor([5, 3])
    said = torch.tensor(json.loads(path.with_suffix(".json").read_text("utf-8")))
    torch.testing.assert_close(task.model(x, lengths), said, **TOLERANCE[said.dtype])
    assert set(recipe) == {"config", "sizes", "class_names", "preprocessing"}
    assert read_checkpoint(path)["format"] == FORMAT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_training_goes_on_from_a_checkpoint_of_any_version(path: Path, tmp_path: Path) -> None:
    steps = torch.load(path, weights_only=True)["global_step"]
    overrides = [*TINY, "data=digits", "cell=lstm", "cell.hidden_size=3", "logger=none", "trainer.max_epochs=2"]
    train(composed(tmp_path, *overrides, f"ckpt_path='{path}'"))
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == steps + 1
