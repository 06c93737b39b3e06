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
        mean, deviation: scaling of each series.
        seasonal_error: mean absolute seasonal-naive error of each series within the training part, in original units.
        forecasts: names of the forecasts to compare; metrics of the first have no prefix, those of the others are
            called ``{name}_mse`` and so on.
        kinds: the metrics to compute.
    """

    full_state_update = False

    def __init__(
        self,
        mean: Sequence[float],
        deviation: Sequence[float],
        seasonal_error: Sequence[float],
        forecasts: Sequence[str],
        kinds: Sequence[str] = KINDS,
    ) -> None:
        super().__init__()
        self.mean, self.deviation, self.unit = (
            torch.tensor(values, dtype=torch.float64) for values in (mean, deviation, seasonal_error)
        )
        self.forecasts = tuple(forecasts)
        self.kinds = tuple(kinds)
        shape = (len(self.forecasts), len(mean))
        for name in ("absolute", "square", "relative"):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("total", "total_square"):
            self.add_state(name, torch.zeros(len(mean), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    absolute: Tensor  # (forecasts, series) of errors on the standardised scale
    square: Tensor
    relative: Tensor
    total: Tensor  # (series,) of targets on the standardised scale
    total_square: Tensor
    count: Tensor  # number of steps, each with all series

    def update(self, forecasts: Mapping[str, Tensor], targets: Tensor) -> None:
        """Add forecasts by name and the targets, each ``(batch, horizon, series)``, standardised."""
        wide = torch.float32 if targets.device.type == "mps" else torch.float64
        predicted = torch.stack([forecasts[name] for name in self.forecasts]).to(wide).flatten(1, 2)
        target = targets.to(wide).flatten(0, 1)
        error = (predicted - target).abs()
        deviation, mean = self.deviation.to(target), self.mean.to(target)
        size = (predicted * deviation + mean).abs() + (target * deviation + mean).abs()
        self.absolute += error.sum(1)
        self.square += error.square().sum(1)
        self.relative += (200 * error * deviation / size.clamp_min(EPSILON)).sum(1)
        self.total += target.sum(0)
        self.total_square += target.square().sum(0)
        self.count += len(target)

    def compute(self) -> dict[str, Tensor]:
        """Return every metric of every forecast, ordered by metric."""
        deviation, unit = self.deviation.to(self.total), self.unit.to(self.total)
        absolute, square = self.absolute / self.count, self.square / self.count
        spread = self.total_square / self.count - (self.total / self.count).square()
        raw_square = square * deviation.square()
        values = {
            "mse": square.mean(1),
            "mae": absolute.mean(1),
            "rmse": square.mean(1).sqrt(),
            "raw_mse": raw_square.mean(1),
            "raw_mae": (absolute * deviation).mean(1),
            "raw_rmse": raw_square.mean(1).sqrt(),
            "smape": (self.relative / self.count).mean(1),
            "mase": (absolute * deviation / unit).mean(1),
            "r2": (1 - square / spread.clamp_min(EPSILON)).mean(1),
        }
        prefixes = ["", *(f"{name}_" for name in self.forecasts[1:])]
        return {
            prefix + kind: values[kind][index].float() for kind in self.kinds for index, prefix in enumerate(prefixes)
        }


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """Return the last of ``inputs (batch, time, series)`` for every future step, ``(batch, horizon, series)``."""
    return inputs[:, -1:].expand(-1, horizon, -1)


def seasonal_naive(inputs: Tensor, horizon: int, season: int) -> Tensor:
    """Return for every future step the value one season before, from the last season of ``inputs`` if beyond it."""
    steps = torch.arange(horizon, device=inputs.device) % season
    return inputs[:, inputs.shape[1] - season + steps]
