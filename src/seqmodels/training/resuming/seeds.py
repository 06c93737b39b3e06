"""Random seeds that depend only on the seed of the run and the step."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

LARGE_PRIME = 1_000_003  # maps (seed, epoch, step, process) to distinct generator seeds


class StepSeeds(Callback):
    """Seed all generators before each training step, validation and test, by its position in training.

    Dropout, zoneout, teacher forcing and sampling then draw the same numbers whether or not the run was resumed,
    whatever was drawn before. Processes that train together draw different numbers.

    Args:
        seed: the seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self._seed(trainer, 2 * batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._seed(trainer, 2 * trainer.fit_loop.batch_idx + 1)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._seed(trainer, 0)

    def _seed(self, trainer: Trainer, moment: int) -> None:
        value = 0
        for number in (self.seed, trainer.current_epoch, moment, trainer.global_rank):
            value = (value * LARGE_PRIME + number) % 2**63
        if trainer.strategy.root_device.type == "cpu":
            torch.default_generator.manual_seed(value)  # torch.manual_seed records a stack trace for absent devices
        else:
            torch.manual_seed(value)
        np.random.seed(value % 2**32)
        random.seed(value)
