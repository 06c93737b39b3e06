"""Regression: numbers for each sequence, or for each of its steps."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, MetricCollection, R2Score

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.predictors.values import ValuePredictor
from seqmodels.tasks.steps import Entries, real_steps
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

Loss = Literal["mse", "mae", "huber"]

_LOSSES: dict[Loss, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}


class Regression(Task[SequenceBatch]):
    """Train and evaluate a regression model.

    Metrics are MAE, RMSE and R2 (averaged over the outputs), over all real steps if every step has a target.

    If the data standardise their targets, the loss is that of the standardised ones, and metrics and predictions are in
    the unit of the data. ``train_mean_mae`` and ``train_mean_rmse`` are then the errors of always predicting the mean
    of the train split, with which a model must be compared.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model returns values ``(batch, output)``, or
            ``(batch, time, output)`` if the data have targets for every step.
        loss: the training loss: ``mse``, the mean squared error; ``mae``, the mean absolute error, which is less
            sensitive to outliers and fits the median; or ``huber``, quadratic up to an error of 1 and linear beyond.
        target_mean, target_deviation: of each output in the train split, if the data standardise their targets.
        target_names: of the outputs in predictions; a plain list if empty.

    Raises:
        ValueError: ``loss`` is unknown, or the target options do not have one value for each output.

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
        target_mean: Sequence[float] | None = None,
        target_deviation: Sequence[float] | None = None,
        target_names: Sequence[str] = (),
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")
        self.loss = loss
        self.predictor = ValuePredictor(model, target_mean, target_deviation, tuple(target_names))
        self.scaling = self.predictor.scaling
        self.metrics.update(
            {stage: _metrics(f"{stage}/", standardized=self.scaling is not None) for stage in ("val", "test")}
        )

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        entries = real_steps(self.model(batch.inputs, batch.lengths), batch)
        values, targets, _ = entries
        if values.shape != targets.shape:
            raise ValueError(
                f"targets must have the shape of the model's values {tuple(values.shape)}, got {tuple(targets.shape)}"
            )
        loss = self._mean_loss(entries)
        if self.scaling is not None and stage in self.metrics:
            # The mean is left out, as errors do not depend on it and float32 would lose digits.
            deviation = self.scaling.deviation.to(values)
            entries = entries._replace(outputs=values * deviation, targets=targets * deviation)
        self.record(stage, {"loss": loss}, entries)
        return loss

    def _mean_loss(self, entries: Entries) -> Tensor:
        values, targets, real = entries
        if real is None:
            return _LOSSES[self.loss](values, targets)
        padding = ~real[:, None]  # where values and targets are made equal, every loss is 0
        values, targets = values.masked_fill(padding, 0), targets.masked_fill(padding, 0)
        return _LOSSES[self.loss](values, targets, reduction="sum") / (entries.number * values.shape[1])

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the values ``(batch, output)``, or ``(batch, time, output)`` if the model is stepwise.

        If the data standardise their targets, they are float64 on the CPU, in the unit of the data.
        """
        return self.predictor.values(batch)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the values of each row, or of each of its steps."""
        return self.predictor.records(batch, class_names)


class R2(R2Score):
    """Compute R2, as NaN instead of an error if there is only one row."""

    def compute(self) -> Tensor:
        return super().compute() if self.total >= 2 else torch.full_like(self.residual[:1], torch.nan).squeeze()


class TrainMeanMAE(MeanAbsoluteError):  # noqa: N818  (a metric, not an exception)
    """Compute the mean absolute error of always predicting 0, the mean of standardised targets."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(torch.zeros_like(preds), target)


class TrainMeanMSE(MeanSquaredError):  # noqa: N818
    """Compute the (root) mean squared error of always predicting 0, the mean of standardised targets."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(torch.zeros_like(preds), target)


def _metrics(prefix: str, *, standardized: bool) -> MetricCollection:
    metrics: dict[str, Metric | MetricCollection] = {
        "mae": MeanAbsoluteError(),
        "rmse": MeanSquaredError(squared=False),
        "r2": R2(),
    }
    if standardized:
        metrics |= {
            "train_mean_mae": TrainMeanMAE(),
            "train_mean_rmse": TrainMeanMSE(squared=False),
        }
    # groups would be found by equal states, which two different metrics may have in their first batch
    return MetricCollection(metrics, prefix=prefix, compute_groups=False)
