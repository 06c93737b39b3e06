"""Forecasting of time series."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torchmetrics import MetricCollection

from seqmodels.data.batch import TargetKind
from seqmodels.data.series.windows import ForecastBatch
from seqmodels.models import Forecaster
from seqmodels.tasks.calibration import ConformalScores, checked_share, warn_of_few
from seqmodels.tasks.metrics.forecasts import KINDS, ForecastErrors, persistence, rows_by_series
from seqmodels.tasks.predictors.forecasts import ForecastPredictor
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

BASELINES = ("persistence", "seasonal_naive")
MARGIN = "model.margin"  # of intervals, in a checkpoint


class Forecasting(Task[ForecastBatch]):
    """Train and evaluate forecasts of one or more series, compared with persistence and seasonal-naive forecasts.

    The loss is that of the model's likelihood. For the metrics see
    :class:`~seqmodels.tasks.metrics.forecasts.ForecastErrors`; test metrics cover all three forecasts:
    ``test/mse``, ``test/persistence_mse``, ``test/seasonal_naive_mse``.

    Each validation calibrates the intervals of the model
    (:class:`~seqmodels.tasks.calibration.ConformalScores`); a checkpoint holds the margins that fit its weights.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model is a :class:`~seqmodels.models.Forecaster`.
        names: names of the series.
        group: names of the columns that tell the groups of a panel apart.
        keys: the values of these columns for each group of the training data.
        time_style: how times are written, see :func:`~seqmodels.tasks.predictors.forecast_records.time_texts`.
        interval: share of the outcomes that the interval ``low`` to ``high`` covers; by default 0.95, or that of the
            outermost quantiles.
        calibrate: calibrate intervals on the validation part; otherwise they are those that the likelihood states, and
            point forecasts have none.

    Raises:
        TypeError: ``model`` is not a forecaster.
        ValueError: ``interval`` is not a share, or is neither calibrated nor stated by the likelihood.
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
        group: Sequence[str] = (),
        keys: Sequence[Sequence[str]] = ((),),
        time_style: Sequence[Any] | None = None,
        interval: float | None = None,
        calibrate: bool = True,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if not isinstance(model, Forecaster):
            raise TypeError(
                "task=forecasting needs model=forecaster, recursive_forecaster or segment_forecaster, "
                f"got {type(model).__name__}"
            )
        self.names = tuple(names)
        self.group = tuple(group)
        self.keys = tuple(tuple(key) for key in keys)
        self.time_style = None if time_style is None else tuple(time_style)
        self.interval = checked_share(model.likelihood, interval, calibrate=calibrate)
        self.predictor = ForecastPredictor(model, self.names, self.time_style, self.interval)
        self.scores = ConformalScores(self.interval) if calibrate else None
        self._by_series: list[dict[str, Any]] = []
        groups = len(keys) + 1 if group else 1  # the last one for groups that are not in the training data
        for stage, compared, kinds, count in (("val", (), KINDS[:2], 1), ("test", BASELINES, KINDS, groups)):
            errors = ForecastErrors(len(names), ("model", *compared), kinds, count)
            self.metrics[stage] = MetricCollection({"errors": errors}, prefix=f"{stage}/")

    def measure(self, batch: ForecastBatch, stage: Stage) -> Tensor:
        params = self.params(batch, batch.targets if stage == "train" else None)
        likelihood = self.model.likelihood
        loss = likelihood.loss(params, batch.targets)
        self._means[stage].add({"loss": loss}, len(batch.targets))
        if stage == "train":
            return loss
        forecasts, bounds = {"model": likelihood.point(params)}, None
        if stage == "test":
            forecasts, bounds = self.compared(params, batch), self.model.interval(params, self.interval)
        elif self.scores is not None:
            self.scores.update(likelihood.score(params, batch.targets, self.interval))
        self._metrics_of(stage).update(forecasts, batch, bounds)
        return loss

    def params(self, batch: ForecastBatch, targets: Tensor | None = None) -> Tensor:
        """Return the likelihood parameters ``(batch, horizon, series, likelihood.size)``, scaled."""
        return self.predictor.params(batch, targets)

    def compared(self, params: Tensor, batch: ForecastBatch) -> dict[str, Tensor]:
        """Return the forecast of the model and the naive ones, each ``(batch, horizon, series)``, scaled."""
        series, horizon = batch.inputs[..., : len(self.names)], batch.targets.shape[1]
        own = self.model.likelihood.point(params)
        return {"model": own, "persistence": persistence(series, horizon), "seasonal_naive": batch.naive}

    def predict_step(self, batch: ForecastBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the likelihood parameters in units of the data, as float64 on the CPU."""
        params = self.params(batch).cpu().double()
        return self.model.likelihood.shifted(params, batch.mean[:, None], batch.deviation[:, None])

    def records(self, batch: ForecastBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each window the forecasts of each series and step, in this order."""
        return self.predictor.records(batch, class_names)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        if self.scores is not None:
            self.scores.reset()

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if not self.trainer.sanity_checking:
            self._calibrate()

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        errors = self._metrics_of("test")["errors"]
        assert isinstance(errors, ForecastErrors)
        self._by_series = rows_by_series(errors, self.names, self.group, self.keys)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the metrics of the last test for each group and series, if there are several."""
        return {"series_metrics.csv": self._by_series} if len(self._by_series) > 1 else {}

    def take_over(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the margins of intervals."""
        self.model.margin.copy_(weights[MARGIN])

    def on_train_end(self) -> None:
        self._calibrate()  # again: callbacks that average weights have averaged the margins as well
        if self.scores is not None and self.global_rank == 0:
            warn_of_few(self.scores.windows * self.trainer.world_size, self.interval)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"][MARGIN] = self.model.margin  # callbacks that average weights have replaced it

    def _calibrate(self) -> None:
        if self.scores is not None and self.scores.windows:
            self.model.margin.copy_(self.scores.compute().view_as(self.model.margin))
