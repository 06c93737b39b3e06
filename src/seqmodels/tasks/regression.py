"""Numbers for each sequence."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class Regression(Task):
    """Mean squared error; MAE, RMSE and R2 (a mean over the outputs). Options as in :class:`Task`."""

    needs: ClassVar[TargetKind] = "regression"

    def __init__(
        self, model: nn.Module, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        self.metrics.update({"val": _metrics("val/"), "test": _metrics("test/")})

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        values = self.model(batch.inputs, batch.lengths)
        if values.shape != batch.targets.shape:
            raise ValueError(
                f"targets must have the shape of the model's values {tuple(values.shape)}, "
                f"got {tuple(batch.targets.shape)}"
            )
        loss = F.mse_loss(values, batch.targets)
        self.record(stage, {"loss": loss}, values, batch.targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the values ``(batch, output)``."""
        return self.model(batch.inputs, batch.lengths)


class R2(R2Score):
    """R2 that is not a number, rather than an error, where a single row gives no variance to explain."""

    def compute(self) -> Tensor:
        return super().compute() if self.total >= 2 else torch.full_like(self.residual[:1], torch.nan).squeeze()


def _metrics(prefix: str) -> MetricCollection:
    return MetricCollection(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2()}, prefix=prefix
    )
