"""When a learning-rate schedule is stepped."""

from functools import partial
from typing import Any

import lightning
import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

from tests.tasks.small import classification, parity, trainer


class Rates(Callback):
    """Records the learning rate of every training step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(scheduler: Any, epochs: int = 3) -> list[float]:
    """Train 10 steps per epoch from a rate of 1; return the rate of every step."""
    lightning.seed_everything(0, verbose=False)
    data, callback = parity(train_rows=50), Rates()
    trainer(max_epochs=epochs, callbacks=[callback]).fit(classification(data, scheduler=scheduler, lr=1.0), data)
    return callback.seen


def test_a_schedule_counts_epochs() -> None:
    assert rates(partial(StepLR, step_size=1, gamma=0.5)) == [1.0] * 10 + [0.5] * 10 + [0.25] * 10


def test_a_schedule_with_total_steps_counts_steps_and_is_told_how_many() -> None:
    seen = rates(partial(OneCycleLR, max_lr=2.0, pct_start=0.5, cycle_momentum=False))
    assert len(seen) == 30
    assert max(seen) == pytest.approx(2.0)
    assert seen[14] == max(seen)
    assert seen[-1] < 0.01
    bound = rates(partial(OneCycleLR, max_lr=2.0, pct_start=0.5, total_steps=60, cycle_momentum=False))
    assert bound[-1] == pytest.approx(2.0)


def test_a_plateau_is_seen_in_the_validation_loss() -> None:
    seen = rates(partial(ReduceLROnPlateau, patience=0, threshold=1e9, threshold_mode="abs", factor=0.1))
    assert seen == pytest.approx([1.0] * 20 + [0.1] * 10)


def test_a_schedule_that_counts_steps_needs_an_end() -> None:
    data = parity()
    model = classification(data, scheduler=partial(OneCycleLR, max_lr=2.0))
    with pytest.raises(ValueError, match="set max_epochs or max_steps"):
        trainer(max_epochs=-1).fit(model, data)
