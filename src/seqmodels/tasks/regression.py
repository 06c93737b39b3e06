"""Regression: numbers for each sequence, or for each of its steps."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.steps import real_steps, rows_of
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

Loss = Literal["mse", "mae", "huber"]

_LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


class Regression(Task[SequenceBatch]):
    """Train and evaluate a regression model.

    Metrics are MAE, RMSE and R2 (averaged over the outputs), over all real steps if every step has a target.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model returns values ``(batch, output)``, or
            ``(batch, time, output)`` if the data have targets for every step.
        loss: the training loss: ``mse``, the mean squared error; ``mae``, the mean absolute error, which is less
            sensitive to outliers and fits the median; or ``huber``, quadratic up to an error of 1 and linear beyond.

    Raises:
        ValueError: ``loss`` is unknown.

    Example:
        >>> from torch import nn, optim
        >>> Regression(nn.Linear(4, 1), optim.Adam, loss="huber").loss
        'huber'
    """

    needs: ClassVar[TargetKind] = "regression"

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        loss: Loss = "mse",
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")
        self.loss = loss
        self.metrics.update({"val": _metrics("val/"), "test": _metrics("test/")})

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        values, targets = real_steps(self.model(batch.inputs, batch.lengths), batch)
        if values.shape != targets.shape:
            raise ValueError(
                f"targets must have the shape of the model's values {tuple(values.shape)}, got {tuple(targets.shape)}"
            )
        loss = _LOSSES[self.loss](values, targets)
        self.record(stage, {"loss": loss}, values, targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the values ``(batch, output)``, or ``(batch, time, output)`` if the model is stepwise."""
        return self.model(batch.inputs, batch.lengths)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:  # noqa: ARG002
        """Return the values of each row, or of each of its steps."""
        return [[{"values": row.tolist()}] for row in rows_of(self.predict_step(batch), batch.lengths)]


class R2(R2Score):
    """Compute R2, as NaN instead of an error if there is only one row."""

    def compute(self) -> Tensor:
        return super().compute() if self.total >= 2 else torch.full_like(self.residual[:1], torch.nan).squeeze()


def _metrics(prefix: str) -> MetricCollection:
    return MetricCollection(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2()}, prefix=prefix
    )
