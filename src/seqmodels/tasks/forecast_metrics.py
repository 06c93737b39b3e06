"""Forecast errors, compared with those of naive forecasts, and the coverage of intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from seqmodels.data.series.windows import ForecastBatch

EPSILON = 1e-8  # smallest denominator
KINDS = ("mse", "mae", "rmse", "raw_mse", "raw_mae", "raw_rmse", "smape", "mase", "r2")
SUMMED = ("mse", "mae", "raw_mse", "raw_mae", "smape", "mase")  # the kinds that are means over values
INTERVAL = ("coverage", "interval_width", "raw_interval_width")
Bounds = tuple[Tensor, Tensor]


class ForecastErrors(Metric):
    """Compute MSE, MAE and RMSE on standardised and on original values, sMAPE, MASE, R2, and the coverage of intervals.

    ``mse``, ``mae`` and ``rmse`` are computed on values standardised by the training part of their group, as papers
    report them, over all series, steps and windows. The others use original values: ``raw_mse``, ``raw_mae``,
    ``raw_rmse``; ``smape``, the mean of ``200 |f - y| / (|f| + |y|)`` in percent, 0 if both are 0; ``mase``, the mean
    of absolute errors, each divided by the mean absolute error of a seasonal-naive forecast within the training part of
    its group and series (Hyndman and Koehler, 2006); and ``r2``, 1 for a perfect forecast and 0 for the mean of the
    targets of each group, the mean over the series of 1 minus the squared errors divided by the squared deviations from
    these means, each summed over all groups.

    All are means over windows, so that a group counts by the number of its windows.

    ``coverage`` is the share of targets within the bounds of their interval, ``interval_width`` and
    ``raw_interval_width`` are the mean distances of these bounds on standardised and on original values.

    Args:
        series: number of series that are forecast.
        forecasts: names of the forecasts to compare; metrics of the first have no prefix, those of the others are
            called ``{name}_mse`` and so on.
        kinds: the metrics to compute.
        groups: number of groups for :meth:`of_groups` and :meth:`of_series`; a group with the index -1 counts as the
            last.
    """

    full_state_update = False
    sums: Tensor  # (summed kinds, groups, forecasts, series)
    totals: Tensor  # (2, groups, series) of standardised targets and of their squares
    within: Tensor  # (interval kinds, groups, series)
    count: Tensor  # (groups,) number of steps, each with all series
    bounded: Tensor  # (groups,) number of those with an interval

    def __init__(self, series: int, forecasts: Sequence[str], kinds: Sequence[str] = KINDS, groups: int = 1) -> None:
        super().__init__()
        self.forecasts = tuple(forecasts)
        self.kinds = tuple(kinds)
        shapes: dict[str, tuple[int, ...]] = {
            "sums": (len(SUMMED), groups, len(self.forecasts), series),
            "totals": (2, groups, series),
            "within": (len(INTERVAL), groups, series),
            "count": (groups,),
            "bounded": (groups,),
        }
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, forecasts: Mapping[str, Tensor], batch: ForecastBatch, bounds: Bounds | None = None) -> None:
        """Add forecasts by name, and the lower and upper bounds of intervals, each ``(batch, horizon, series)``.

        Forecasts, bounds and targets are standardised.
        """
        device = batch.targets.device
        wide = torch.float32 if device.type == "mps" else torch.float64
        target = batch.targets.to(wide)
        mean, deviation, unit = (
            values.to(wide).to(device)[:, None] for values in (batch.mean, batch.deviation, batch.seasonal_error)
        )
        predicted = torch.stack([forecasts[name] for name in self.forecasts]).to(wide)
        error = (predicted - target).abs()
        raw = error * deviation
        size = (predicted * deviation + mean).abs() + (target * deviation + mean).abs()
        relative = 200 * raw / size.clamp_min(EPSILON)
        values = torch.stack([error.square(), error, raw.square(), raw, relative, raw / unit])
        group = batch.series.remainder(len(self.count)) if len(self.count) > 1 else torch.zeros_like(batch.series)
        steps = torch.full_like(mean[:, 0, 0], target.shape[1])
        self.sums.index_add_(1, group, values.sum(3).transpose(1, 2).to(self.sums))
        self.totals.index_add_(1, group, torch.stack([target, target.square()]).sum(2).to(self.sums))
        self.count.index_add_(0, group, steps.to(self.sums))
        if bounds is not None:
            low, high = (bound.to(wide) for bound in bounds)
            covered = ((low <= target) & (target <= high)).to(wide)
            within = torch.stack([covered, high - low, (high - low) * deviation])
            self.within.index_add_(1, group, within.sum(2).to(self.sums))
            self.bounded.index_add_(0, group, steps.to(self.sums))

    def compute(self) -> dict[str, Tensor]:
        """Return every metric of every forecast, ordered by metric, over all groups."""
        values = self._kinds(self.sums.sum(1), self._spread().sum(0), self.count.sum())
        within = self.within.sum(1) / self.bounded.sum()
        return {name: value.float() for name, value in self._over_series(values, within).items()}

    def of_groups(self) -> dict[str, Tensor]:
        """Return the metrics of each group, ``(groups,)``; NaN for a group without windows."""
        return self._over_series(*self._per_group())

    def of_series(self) -> dict[str, Tensor]:
        """Return the metrics of each group and series, ``(groups, series)``; NaN for a group without windows."""
        return self._named(*self._per_group())

    def _per_group(self) -> tuple[dict[str, Tensor], Tensor]:
        values = self._kinds(self.sums, self._spread(), self.count[:, None, None])
        forecasts_first = {kind: value.movedim(1, 0) for kind, value in values.items()}
        return forecasts_first, self.within / self.bounded[:, None]

    def _over_series(self, values: Mapping[str, Tensor], within: Tensor) -> dict[str, Tensor]:
        return self._named({kind: value.mean(-1) for kind, value in values.items()}, within.mean(-1))

    def _spread(self) -> Tensor:
        """Return the squared deviations of the targets from the mean of their group, ``(groups, series)``."""
        total, square = self.totals
        return square - total.square() / self.count[:, None].clamp_min(1)

    def _kinds(self, sums: Tensor, spread: Tensor, count: Tensor) -> dict[str, Tensor]:
        """Return the metrics ``(..., forecasts, series)`` of sums ``(kinds, ..., forecasts, series)``."""
        found = dict(zip(SUMMED, sums / count, strict=True))
        unexplained = found["mse"] / (spread.unsqueeze(-2) / count).clamp_min(EPSILON)
        return {**found, "r2": 1 - unexplained}

    def _named(self, values: Mapping[str, Tensor], within: Tensor) -> dict[str, Tensor]:
        """Return metrics, whose first dimension is that of the forecasts, by kind and name of the forecast."""
        roots = {f"{prefix}rmse": values[f"{prefix}mse"].sqrt() for prefix in ("", "raw_")}
        everything = {**values, **roots}
        prefixes = ["", *(f"{name}_" for name in self.forecasts[1:])]
        found = {prefix + kind: everything[kind][index] for kind in self.kinds for index, prefix in enumerate(prefixes)}
        return found | (dict(zip(INTERVAL, within, strict=True)) if bool(self.bounded.any()) else {})


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """Return the last of ``inputs (batch, time, series)`` for every future step, ``(batch, horizon, series)``."""
    return inputs[:, -1:].expand(-1, horizon, -1)


def rows_by_series(
    errors: ForecastErrors, names: Sequence[str], group: Sequence[str], keys: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the metrics of each group and series as a row, with their keys and the number of their steps.

    All processes must call this together. Groups without windows have no row; those that are not in the training data
    are one row without keys.
    """
    with errors.sync_context():
        steps = errors.count.long().tolist()
        found = {name: values.tolist() for name, values in errors.of_series().items()}
    everything = [*keys, ("",) * len(group)][: len(steps)]  # the last is that of groups which are not in the training
    return [
        {
            **dict(zip(group, key, strict=True)),
            "series": name,
            "steps": steps[index],
            **{metric: values[index][column] for metric, values in found.items()},
        }
        for index, key in enumerate(everything)
        for column, name in enumerate(names)
        if steps[index]
    ]
