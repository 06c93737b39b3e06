"""Forecasting of time series."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from seqmodels.data.batch import TargetKind
from seqmodels.data.series.windows import ForecastBatch
from seqmodels.models import Forecaster
from seqmodels.tasks.forecast_metrics import KINDS, ForecastErrors, persistence
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

BASELINES = ("persistence", "seasonal_naive")


class Forecasting(Task[ForecastBatch]):
    """Train and evaluate forecasts of one or more series, compared with persistence and seasonal-naive forecasts.

    The loss is that of the model's likelihood. For the metrics see
    :class:`~seqmodels.tasks.forecast_metrics.ForecastErrors`; test metrics cover all three forecasts:
    ``test/mse``, ``test/persistence_mse``, ``test/seasonal_naive_mse``.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model is a :class:`~seqmodels.models.Forecaster`.
        names: names of the series.

    Raises:
        TypeError: ``model`` is not a forecaster.
    """

    needs: ClassVar[TargetKind] = "forecasting"
    model: Forecaster

    def __init__(
        self,
        model: Forecaster,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        names: Sequence[str],
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if not isinstance(model, Forecaster):
            raise TypeError(
                "task=forecasting needs model=forecaster, recursive_forecaster or segment_forecaster, "
                f"got {type(model).__name__}"
            )
        self.names = tuple(names)
        for stage, compared, kinds in (("val", (), KINDS[:2]), ("test", BASELINES, KINDS)):
            errors = ForecastErrors(len(self.names), ("model", *compared), kinds)
            self.metrics[stage] = MetricCollection({"errors": errors}, prefix=f"{stage}/")

    def measure(self, batch: ForecastBatch, stage: Stage) -> Tensor:
        true = batch.targets if stage == "train" else None
        params = self.model(batch.inputs, batch.known, true)
        loss = self.model.likelihood.loss(params, batch.targets)
        self._means[stage].add({"loss": loss}, len(batch.targets))
        if stage == "train":
            return loss
        forecasts = {"model": self.model.likelihood.point(params)}
        if stage == "test":
            series, horizon = batch.inputs[..., : len(self.names)], batch.targets.shape[1]
            forecasts |= {"persistence": persistence(series, horizon), "seasonal_naive": batch.naive}
        self._metrics_of(stage).update(forecasts, batch.targets, batch.mean, batch.deviation, batch.seasonal_error)
        return loss

    def predict_step(self, batch: ForecastBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the likelihood parameters ``(batch, horizon, series, likelihood.size)``, in units of the data."""
        params = self.model(batch.inputs, batch.known)
        return self.model.likelihood.shifted(params.double(), batch.mean[:, None], batch.deviation[:, None])

    def records(self, batch: ForecastBatch, class_names: Sequence[str]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return for each future step of each window: its number, its time, and point and interval of each series."""
        params = self.predict_step(batch)
        likelihood = self.model.likelihood
        summary = {"forecast": likelihood.point(params), **likelihood.statistics(params)}
        values = torch.stack(list(summary.values()), -1).tolist()  # (batch, horizon, series, kinds)
        return [
            {
                "step": step,
                "time": _iso_time(time),
                **{
                    name: dict(zip(summary, kinds, strict=True)) for name, kinds in zip(self.names, series, strict=True)
                },
            }
            for window, times in zip(values, batch.times.tolist(), strict=True)
            for step, (series, time) in enumerate(zip(window, times, strict=True), start=1)
        ]


def _iso_time(microseconds: int) -> str:
    """Return a time in ISO 8601, as a date alone at midnight."""
    text = str(np.datetime64(microseconds, "us").astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")
