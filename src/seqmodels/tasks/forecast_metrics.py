"""Forecast errors, compared with those of naive forecasts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

EPSILON = 1e-8  # smallest denominator
KINDS = ("mse", "mae", "rmse", "raw_mse", "raw_mae", "raw_rmse", "smape", "mase", "r2")


class ForecastErrors(Metric):
    """Compute MSE, MAE and RMSE on standardised and on original values, sMAPE, MASE and R2.

    ``mse``, ``mae`` and ``rmse`` are computed on values standardised by the training part, as papers report them, over
    all series, steps and windows. The others use original values: ``raw_mse``, ``raw_mae``, ``raw_rmse``; ``smape``,
    the mean of ``200 |f - y| / (|f| + |y|)`` in percent, 0 if both are 0; ``mase``, the mean absolute error of each
    series divided by that of a seasonal-naive forecast within the training part (Hyndman and Koehler, 2006); and
    ``r2``, 1 for a perfect forecast and 0 for the mean of the targets. ``mase`` and ``r2`` are means over the series.

    Args:
        series: number of series that are forecast.
        forecasts: names of the forecasts to compare; metrics of the first have no prefix, those of the others are
            called ``{name}_mse`` and so on.
        kinds: the metrics to compute.
    """

    full_state_update = False

    def __init__(
        self,
        series: int,
        forecasts: Sequence[str],
        kinds: Sequence[str] = KINDS,
    ) -> None:
        super().__init__()
        self.forecasts = tuple(forecasts)
        self.kinds = tuple(kinds)
        shape = (len(self.forecasts), series)
        for name in ("absolute", "square", "relative", "raw_absolute", "raw_square", "ratio"):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("total", "total_square"):
            self.add_state(name, torch.zeros(series, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    absolute: Tensor  # (forecasts, series) of errors on the standardised scale
    square: Tensor
    relative: Tensor
    raw_absolute: Tensor  # in original units
    raw_square: Tensor
    ratio: Tensor  # to the seasonal-naive error
    total: Tensor  # (series,) of targets on the standardised scale
    total_square: Tensor
    count: Tensor  # number of steps, each with all series

    def update(
        self, forecasts: Mapping[str, Tensor], targets: Tensor, mean: Tensor, deviation: Tensor, seasonal_error: Tensor
    ) -> None:
        """Add forecasts by name and the targets, each ``(batch, horizon, series)``, standardised.

        ``mean`` and ``deviation (batch, series)`` undo this; ``seasonal_error (batch, series)`` is the mean absolute
        seasonal-naive error within the training part, in original units.
        """
        wide = torch.float32 if targets.device.type == "mps" else torch.float64
        predicted = torch.stack([forecasts[name] for name in self.forecasts]).to(wide)
        target = targets.to(wide)
        centre, scale, unit = (values.to(target)[:, None] for values in (mean, deviation, seasonal_error))
        error = (predicted - target).abs()
        raw = error * scale
        size = (predicted * scale + centre).abs() + (target * scale + centre).abs()
        self.absolute += error.sum((1, 2))
        self.square += error.square().sum((1, 2))
        self.relative += (200 * raw / size.clamp_min(EPSILON)).sum((1, 2))
        self.raw_absolute += raw.sum((1, 2))
        self.raw_square += raw.square().sum((1, 2))
        self.ratio += (raw / unit).sum((1, 2))
        self.total += target.sum((0, 1))
        self.total_square += target.square().sum((0, 1))
        self.count += target[..., 0].numel()

    def compute(self) -> dict[str, Tensor]:
        """Return every metric of every forecast, ordered by metric."""
        square, raw_square = self.square / self.count, self.raw_square / self.count
        spread = self.total_square / self.count - (self.total / self.count).square()
        values = {
            "mse": square.mean(1),
            "mae": (self.absolute / self.count).mean(1),
            "rmse": square.mean(1).sqrt(),
            "raw_mse": raw_square.mean(1),
            "raw_mae": (self.raw_absolute / self.count).mean(1),
            "raw_rmse": raw_square.mean(1).sqrt(),
            "smape": (self.relative / self.count).mean(1),
            "mase": (self.ratio / self.count).mean(1),
            "r2": (1 - square / spread.clamp_min(EPSILON)).mean(1),
        }
        prefixes = ["", *(f"{name}_" for name in self.forecasts[1:])]
        return {
            prefix + kind: values[kind][index].float() for kind in self.kinds for index, prefix in enumerate(prefixes)
        }


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """Return the last of ``inputs (batch, time, series)`` for every future step, ``(batch, horizon, series)``."""
    return inputs[:, -1:].expand(-1, horizon, -1)
