"""Forecast errors, compared with those of naive forecasts, and the coverage of intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from seqmodels.data.preprocessing import without_clashes
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

    All are means over targets, so that a group counts by the number of its windows. Targets that were not in the file
    but filled in do not count.

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
    count: Tensor  # (groups, series) number of targets
    bounded: Tensor  # (groups, series) number of those with an interval

    def __init__(self, series: int, forecasts: Sequence[str], kinds: Sequence[str] = KINDS, groups: int = 1) -> None:
        super().__init__()
        self.forecasts = tuple(forecasts)
        self.kinds = tuple(kinds)
        shapes: dict[str, tuple[int, ...]] = {
            "sums": (len(SUMMED), groups, len(self.forecasts), series),
            "totals": (2, groups, series),
            "within": (len(INTERVAL), groups, series),
            "count": (groups, series),
            "bounded": (groups, series),
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
        count, unobserved = batch.observed.sum(1).to(self.sums), ~batch.observed
        values = values.masked_fill(unobserved, 0)
        totals = torch.stack([target, target.square()]).masked_fill(unobserved, 0)
        self.sums.index_add_(1, group, values.sum(3).transpose(1, 2).to(self.sums))
        self.totals.index_add_(1, group, totals.sum(2).to(self.sums))
        self.count.index_add_(0, group, count)
        if bounds is not None:
            low, high = (bound.to(wide) for bound in bounds)
            covered = ((low <= target) & (target <= high)).to(wide)
            within = torch.stack([covered, high - low, (high - low) * deviation]).masked_fill(unobserved, 0)
            self.within.index_add_(1, group, within.sum(2).to(self.sums))
            self.bounded.index_add_(0, group, count)

    def compute(self) -> dict[str, Tensor]:
        """Return every metric of every forecast, ordered by metric, over all groups."""
        count, bounded = self.count.sum(0), self.bounded.sum(0)
        values = self._kinds(self.sums.sum(1), self._spread().sum(0), count)
        found = self._over_series(values, self.within.sum(1) / bounded, count, bounded)
        return {name: value.float() for name, value in found.items()}

    def of_groups(self) -> dict[str, Tensor]:
        """Return the metrics of each group, ``(groups,)``; NaN for a group without targets."""
        return self._over_series(*self._per_group(), self.count, self.bounded)

    def of_series(self) -> dict[str, Tensor]:
        """Return the metrics of each group and series, ``(groups, series)``; NaN for one without targets."""
        return self._named(*self._per_group())

    def _per_group(self) -> tuple[dict[str, Tensor], Tensor]:
        values = self._kinds(self.sums, self._spread(), self.count[:, None])
        forecasts_first = {kind: value.movedim(1, 0) for kind, value in values.items()}
        return forecasts_first, self.within / self.bounded

    def _over_series(
        self, values: Mapping[str, Tensor], within: Tensor, count: Tensor, bounded: Tensor
    ) -> dict[str, Tensor]:
        means = {kind: _mean_of_counted(value, count) for kind, value in values.items()}
        return self._named(means, _mean_of_counted(within, bounded))

    def _spread(self) -> Tensor:
        """Return the squared deviations of the targets from the mean of their group, ``(groups, series)``."""
        total, square = self.totals
        return square - total.square() / self.count.clamp_min(1)

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


def _mean_of_counted(values: Tensor, count: Tensor) -> Tensor:
    """Return the mean over the series, the last dimension, that have targets."""
    # not nanmean, which would hide that a forecast is NaN
    return values.where(count > 0, 0).sum(-1) / (count > 0).sum(-1)


def persistence(inputs: Tensor, horizon: int) -> Tensor:
    """Return the last of ``inputs (batch, time, series)`` for every future step, ``(batch, horizon, series)``."""
    return inputs[:, -1:].expand(-1, horizon, -1)


def rows_by_series(
    errors: ForecastErrors, names: Sequence[str], group: Sequence[str], keys: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the metrics of each group and series as a row, with their keys and the number of their targets.

    All processes must call this together. Groups and series without targets have no row; groups that are not in the
    training data are one row without keys.
    """
    with errors.sync_context():
        steps = errors.count.long().tolist()
        found = {name: values.tolist() for name, values in errors.of_series().items()}
    everything = [*keys, ("",) * len(group)][: len(steps)]  # the last is that of groups which are not in the training
    rows = [
        (key, {"series": name, "steps": count, **{metric: values[index][column] for metric, values in found.items()}})
        for index, key in enumerate(everything)
        for column, (name, count) in enumerate(zip(names, steps[index], strict=True))
        if count
    ]
    return [{**without_clashes(dict(zip(group, key, strict=True)), row), **row} for key, row in rows]
