"""What float32 is multiplied in on a GPU holds for a run, and is put back after it."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels.training.fit import train
from tests.composing import TINY, composed


class Noted(Callback):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self.seen.append(torch.backends.cuda.matmul.fp32_precision)


@pytest.mark.parametrize(("options", "wanted"), [([], "tf32"), (["tf32=false"], "ieee")])
def test_a_run_multiplies_as_its_configuration_says(tmp_path: Path, options: list[str], wanted: str) -> None:
    before, noted = torch.backends.cuda.matmul.fp32_precision, Noted()
    train(composed(tmp_path, *options, "cell.hidden_size=5", "logger=none", *TINY), noted)
    assert noted.seen == [wanted]
    assert torch.backends.cuda.matmul.fp32_precision == before
