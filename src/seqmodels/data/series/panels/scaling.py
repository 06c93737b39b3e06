"""Tensors of all groups of a panel, each scaled by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.series_table import SeriesTable
from seqmodels.data.series.calendar import calendar_features
from seqmodels.data.series.scaling import Scaling, fit_scaling, seasonal_error
from seqmodels.data.series.windows import Groups

Key = tuple[str, ...]


class GroupScale(NamedTuple):
    """Scaling of the targets of a group, and the scale of its MASE."""

    mean: Tensor  # (output,) float64
    deviation: Tensor  # (output,) float64
    seasonal_error: Tensor  # (output,) float64

    @classmethod
    def fit(cls, values: Tensor, season: int, *, standardize: bool) -> "GroupScale":
        """Fit the scaling to ``values (steps, output)``.

        With less than a season, the scale of MASE is the mean absolute difference of consecutive steps.
        """
        scaling = fit_scaling(values, standardize=standardize)
        if len(values) < 2:
            return cls(*scaling, torch.ones_like(scaling.mean))
        return cls(*scaling, seasonal_error(values, season if season < len(values) else 1))

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> "GroupScale":
        """Build it from plain lists."""
        return cls(*(torch.tensor(node[name], dtype=torch.float64) for name in cls._fields))

    def node(self) -> dict[str, list[float]]:
        """Return it as plain lists."""
        return {name: values.tolist() for name, values in self._asdict().items()}


@dataclass(kw_only=True, frozen=True)
class GroupScaling:
    """Scaling of a panel: of the targets by group, of the covariates over all groups.

    Args:
        scales: of each group of the training data, by its key.
        covariates: scaling of the other columns.
        static: scaling of the static features.
        calendar: names of calendar features.
        known: number of columns known ahead, the last ones.
        season: number of steps in a season.
        standardize: whether groups that are not in the training data are scaled.
    """

    scales: Mapping[Key, GroupScale]
    covariates: Scaling
    static: Scaling
    calendar: Sequence[str]
    known: int
    season: int
    standardize: bool

    def groups(
        self, keys: Sequence[Key], tables: Sequence[SeriesTable], static: Tensor, history: Sequence[int]
    ) -> Groups:
        """Return the tensors of groups.

        Args:
            keys: of each group.
            tables: series of each group; steps to forecast may be NaN, and become 0.
            static: static features ``(groups, static)``, not scaled.
            history: number of first steps by which a group is scaled that is not in the training data.

        Raises:
            ValueError: a value is too large for float32 once scaled.
        """
        scales = [
            self.scales.get(key) or self._fitted(table.values[:steps])
            for key, table, steps in zip(keys, tables, history, strict=True)
        ]
        parts = [self._steps(key, table, scale) for key, table, scale in zip(keys, tables, scales, strict=True)]
        index = {key: number for number, key in enumerate(self.scales)}
        counts = torch.tensor([0, *(len(part[0]) for part in parts)])
        values, known = (torch.cat(columns) for columns in zip(*parts, strict=True))
        means, deviations, errors = (torch.stack(rows) for rows in zip(*scales, strict=True))
        return Groups(
            keys=tuple(keys),
            values=values,
            known=known,
            observed=torch.cat([_observed(table, means.shape[1]) for table in tables]),
            times=torch.cat([numbered(table) for table in tables]),
            starts=counts.cumsum(0)[:-1],
            series=torch.tensor([index.get(key, -1) for key in keys]),
            static=self.static.apply(static).float(),
            mean=means,
            deviation=deviations,
            seasonal_error=errors,
        )

    def _fitted(self, values: Tensor) -> GroupScale:
        outputs = values.shape[1] - len(self.covariates.mean)
        return GroupScale.fit(values[:, :outputs], self.season, standardize=self.standardize)

    def _steps(self, key: Key, table: SeriesTable, scale: GroupScale) -> tuple[Tensor, Tensor]:
        """Return the inputs of each step, and the last of them, which are known ahead."""
        outputs = len(scale.mean)
        targets = (table.values[:, :outputs] - scale.mean) / scale.deviation
        others = self.covariates.apply(table.values[:, outputs:])
        scaled = torch.cat([targets, others], 1).float()
        for name, column in zip(table.names, scaled.unbind(1), strict=True):
            if bool(column.isinf().any()):
                where = ", ".join(part for part in (table.place, *key) if part)
                raise ValueError(
                    f"{where}, column {name}: a value is too large: scaled as in training, it is no finite number"
                )
        calendar = calendar_features(table.times, self.calendar, len(scaled))
        inputs = torch.cat([scaled.nan_to_num(nan=0.0), calendar], 1)
        return inputs, inputs[:, inputs.shape[1] - self.known - calendar.shape[1] :]


def _observed(series: SeriesTable, outputs: int) -> Tensor:
    """Return which targets were in the file, ``(steps, output)``."""
    if series.observed is None:
        return torch.ones(len(series.values), outputs, dtype=torch.bool)
    return series.observed[:, :outputs]


def numbered(series: SeriesTable) -> Tensor:
    """Return the times as microseconds since 1970 on their clock, or the numbers of the steps."""
    if series.times is None:
        return torch.arange(len(series.values))
    return torch.from_numpy(series.times.astype("datetime64[us]").astype(np.int64))
