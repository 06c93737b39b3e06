"""Numbers for each sequence."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.steps import real_steps, rows_of
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class Regression(Task[SequenceBatch]):
    """Mean squared error; MAE, RMSE and R2 (a mean over the outputs). Options as in :class:`Task`."""

    needs: ClassVar[TargetKind] = "regression"

    def __init__(
        self, model: nn.Module, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        self.metrics.update({"val": _metrics("val/"), "test": _metrics("test/")})

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        values, targets = real_steps(self.model(batch.inputs, batch.lengths), batch.targets, batch.lengths)
        if values.shape != targets.shape:
            raise ValueError(
                f"targets must have the shape of the model's values {tuple(values.shape)}, got {tuple(targets.shape)}"
            )
        loss = F.mse_loss(values, targets)
        self.record(stage, {"loss": loss}, values, targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the values ``(batch, output)``; at every step where the model answers there."""
        return self.model(batch.inputs, batch.lengths)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Give the values of each row, or of each of its steps."""
        return [{"values": row.tolist()} for row in rows_of(self.predict_step(batch), batch.lengths)]


class R2(R2Score):
    """R2 that is not a number, rather than an error, where a single row gives no variance to explain."""

    def compute(self) -> Tensor:
        return super().compute() if self.total >= 2 else torch.full_like(self.residual[:1], torch.nan).squeeze()


def _metrics(prefix: str) -> MetricCollection:
    return MetricCollection(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2()}, prefix=prefix
    )
