"""What all tasks share: one measure for every stage, and how optimiser and schedule are wired."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from seqmodels.data.batch import SequenceBatch, TargetKind

Stage = Literal["train", "val", "test"]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[..., LRScheduler]


class Task(LightningModule, ABC):
    """A network, what it learns, and how; a subclass measures a batch.

    Args:
        model: ``(inputs, lengths) -> outputs``.
        optimizer: makes an optimiser from parameters, as ``partial(torch.optim.Adam, lr=1e-3)`` does.
        scheduler: makes a learning-rate schedule from an optimiser. One that has an argument ``total_steps`` counts
            optimiser steps, and is told how many there will be unless it is bound already; every other counts epochs;
            ``ReduceLROnPlateau`` watches ``val/loss``.
    """

    needs: ClassVar[TargetKind]
    """The kind of targets that a data set must have for this task."""

    def __init__(
        self, model: nn.Module, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what the network says."""
        return self.model(inputs, lengths)

    @abstractmethod
    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        """Return the loss of a batch, and log it and its metrics as ``"{stage}/{name}"``."""

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        return self.measure(batch, "train")

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:  # noqa: ARG002
        self.measure(batch, "val")

    def test_step(self, batch: SequenceBatch, batch_idx: int) -> None:  # noqa: ARG002
        self.measure(batch, "test")

    def log_means(self, stage: Stage, values: dict[str, Tensor], batch_size: int) -> None:
        """Log means over a batch, to be averaged over the epoch by the batches' sizes."""
        for name, value in values.items():
            self.log(
                f"{stage}/{name}",
                value,
                on_step=False,
                on_epoch=True,
                prog_bar=True,
                batch_size=batch_size,
                sync_dist=True,
            )

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        options: dict[str, Any] = {}
        per_step = "total_steps" in inspect.signature(self.scheduler).parameters
        if per_step and "total_steps" not in getattr(self.scheduler, "keywords", {}):
            options["total_steps"] = int(self.trainer.estimated_stepping_batches)
        schedule: dict[str, Any] = {
            "scheduler": self.scheduler(optimizer, **options),
            "interval": "step" if per_step else "epoch",
        }
        if isinstance(schedule["scheduler"], ReduceLROnPlateau):
            schedule["monitor"] = "val/loss"
        return {"optimizer": optimizer, "lr_scheduler": schedule}
