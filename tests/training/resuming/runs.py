"""Interrupted runs and their comparison with uninterrupted ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from seqmodels.training.fit import train
from tests.composing import composed

Hook = tuple[str, int, int]  # the name of a hook, its epoch, its batch (of hooks of batches)


class Crash(BaseException):
    """Simulates the death of the process."""


class CrashAt(Callback):
    """Interrupts a run in a hook, at an epoch and a batch, before or after the callbacks of the run."""

    def __init__(self, hook: str, epoch: int, batch: int = -1) -> None:
        self.hook, self.epoch, self.batch = hook, epoch, batch
        setattr(self, hook, self._crash)

    def _crash(self, trainer: Trainer, pl_module: Any, *rest: Any) -> None:
        if trainer.current_epoch == self.epoch and (self.batch < 0 or rest[-1] == self.batch):
            raise Crash


class Rates(Callback):
    """Records the learning rate of every step."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.rates[trainer.global_step] = trainer.optimizers[0].param_groups[0]["lr"]


def interrupted(folder: Path, overrides: list[str], *hooks: Hook) -> tuple[dict[str, float], dict[int, float]]:
    """Train with a resume point at every step, crash at each hook in order, resume; return metrics and rates."""
    rates = Rates()
    settings = ["callbacks.resume_points.every_n_steps=1", *overrides]
    for index, hook in enumerate(hooks):
        with pytest.raises(Crash):
            train(composed(folder, *settings, resume=index > 0), CrashAt(*hook), rates)
    return train(composed(folder, *settings, resume=bool(hooks)), rates), rates.rates


def assert_same(one: Path, other: Path, differ: Callable[[str], bool] = lambda key: False) -> None:
    """Assert that two finished runs left the same weights, optimiser, schedule, callbacks and log, to the last bit."""
    kept = [torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (one, other)]
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch", "epoch_state"):
        assert_equal(kept[0][part], kept[1][part], part)
    best = [torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True) for folder in (one, other)]
    assert_equal(best[0]["state_dict"], best[1]["state_dict"], "best")
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


def assert_equal(one: Any, other: Any, place: str) -> None:
    """Assert that two nested structures of tensors and plain values are equal."""
    assert type(one) is type(other), place
    if isinstance(one, dict):
        assert list(one) == list(other), place
        for key in one:
            assert_equal(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{place}[{index}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), f"{place}: {(one - other).abs().max() if one.is_floating_point() else one}"
    else:
        assert one == other or one != one, place  # noqa: PLR0124  (not a number equals nothing)
