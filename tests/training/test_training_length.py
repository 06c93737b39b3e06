"""The length of a training whose configuration sets none."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from seqmodels.training.fit import train
from tests.composing import composed

QUIET = ["trainer=cpu", "logger=none", "callbacks=none", "callbacks.progress=null", "test=false", "cell.hidden_size=3"]
QUIET += ["front=none", "model=classifier", "pooling=last"]


class Seen(Callback):
    """Records the limits of a trainer, and stops it after its first step."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        self.epochs, self.every = trainer.max_epochs, trainer.check_val_every_n_epoch
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        trainer.should_stop = True


def limits(tmp_path: Path, *overrides: str) -> Seen:
    seen = Seen()
    train(composed(tmp_path, *QUIET, "data=parity", "data.batch_size=10", *overrides), seen)
    return seen


@pytest.mark.parametrize(
    ("rows", "overrides", "epochs", "every"),
    [
        (10_000, [], 6, 1),  # 1000 steps an epoch: the epochs of a classification
        (1000, [], 15, 1),  # 100 steps an epoch: as many as make 1500
        (40, [], 384, 12),  # 4 steps: validated every 12 epochs, and last after the last one
        (40, ["trainer.accumulate_grad_batches=2"], 750, 25),
        (40, ["trainer.check_val_every_n_epoch=7"], 378, 7),
        (40, ["trainer.max_epochs=3"], 3, 1),
        (40, ["trainer.max_steps=90"], -1, 1),
        (40, ["+trainer.max_time=00:01:00:00"], 375, 1),  # the schedule needs a number, and time may end any epoch
    ],
)
def test_few_rows_get_more_epochs_and_fewer_validations(
    rows: int, overrides: list[str], epochs: int, every: int, tmp_path: Path
) -> None:
    seen = limits(tmp_path, f"data.train_rows={rows}", *overrides)
    assert (seen.epochs, seen.every) == (epochs, every)


def test_other_tasks_train_for_thirty_epochs(tmp_path: Path) -> None:
    seen = limits(tmp_path, "data=adding", "data.train_rows=1000", "task=regression", "model=regressor")
    assert seen.epochs == 30


def test_early_stopping_waits_for_validations(tmp_path: Path) -> None:
    few = ["data.train_rows=8", "callbacks=default", "callbacks.progress=null", "callbacks.early_stopping.patience=1"]
    done = train(composed(tmp_path, *QUIET, "data=parity", *few, "optimizer.lr=0"))  # never better
    assert done["steps"] == done["epochs"] == 100  # one step an epoch, validated every 50


@pytest.mark.parametrize(
    ("overrides", "epochs"), [([], 384), (["trainer.max_steps=9"], 3), (["trainer.max_epochs=5"], 5)]
)
def test_a_cosine_spans_the_epochs_that_there_are(overrides: list[str], epochs: int, tmp_path: Path) -> None:
    seen = limits(tmp_path, "data.train_rows=40", "scheduler=cosine", *overrides)
    assert seen.schedule.T_max == epochs
