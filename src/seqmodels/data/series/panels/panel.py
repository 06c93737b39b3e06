"""Panels: one or more groups of series that one model forecasts."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.series_table import SeriesTable
from seqmodels.data.formats.times.zones import Times
from seqmodels.data.raw import Splits
from seqmodels.data.series.panels.layouts import Wide
from seqmodels.data.series.panels.roles import Categories, Roles, expanded
from seqmodels.data.splitting import split_by_time


class Panel(NamedTuple):
    """Groups of aligned series with the same columns, such as the sales of several shops.

    Example:
        >>> import torch
        >>> panel = Panel(((),), (SeriesTable(("sales",), torch.arange(7.0).double()[:, None]),))
        >>> panel.keys, [len(part.tables[0].values) for part in panel.parts((0.6, 0.2, 0.2))]
        (((),), [4, 2, 1])
    """

    keys: tuple[tuple[str, ...], ...]  # of each group, its values of the group columns; one empty tuple without any
    tables: tuple[SeriesTable, ...]  # of each group, in ascending order of time
    roles: Roles = Roles()
    wide: Wide | None = None  # how the table was read, if it was wide
    categories: Categories = MappingProxyType({})  # values of the columns with words
    static_names: tuple[str, ...] = ()
    static: Tensor = torch.zeros(1, 0, dtype=torch.float64)  # (groups, static)

    @property
    def place(self) -> str:
        """Name of the data in error messages."""
        return self.tables[0].place

    @property
    def group(self) -> tuple[str, ...]:
        """Names of the group columns."""
        return self.roles.group

    @property
    def longest(self) -> SeriesTable:
        """The series with the most steps."""
        return max(self.tables, key=lambda table: len(table.values))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of every table: those to forecast, features, features known ahead."""
        return self.tables[0].names

    @property
    def outputs(self) -> int:
        """Number of columns to forecast."""
        return len(self.names) - self.tables[0].features

    @property
    def known(self) -> int:
        """Number of columns that are known ahead, the last ones."""
        return len(expanded(self.roles.future, self.categories))

    def limited(self, categories: Categories) -> "Panel":
        """Return the panel with fewer categories."""
        dropped = set(expanded(list(self.categories), self.categories)) - set(expanded(list(categories), categories))
        columns, static = (
            [number for number, name in enumerate(names) if name not in dropped]
            for names in (self.names, self.static_names)
        )
        tables = (
            table._replace(
                names=tuple(self.names[column] for column in columns),
                values=table.values[:, columns],
                observed=None if table.observed is None else table.observed[:, columns],
                features=len(columns) - self.outputs,
            )
            for table in self.tables
        )
        return self._replace(
            tables=tuple(tables),
            categories=categories,
            static_names=tuple(self.static_names[column] for column in static),
            static=self.static[:, static],
        )

    def seen(self) -> Categories:
        """Return the categories that occur in these steps, and in the groups that have some."""
        present = torch.tensor([len(table.values) > 0 for table in self.tables])
        values = torch.cat([table.values for table in self.tables])
        used = {name for name, column in zip(self.names, values.unbind(1), strict=True) if bool(column.any())}
        static = self.static[present]
        used |= {name for name, column in zip(self.static_names, static.unbind(1), strict=True) if bool(column.any())}
        return {
            column: tuple(value for value in values if f"{column}={value}" in used)
            for column, values in self.categories.items()
        }

    def parts(self, shares: Sequence[float]) -> Splits["Panel"]:
        """Split by time; a part holds no steps of a group that has none at its time.

        With times, the parts are separated at the same times in all groups: shares and numbers of steps are those of
        all distinct times, so that no group's test part begins before another's training part ends. Without times,
        every group is split by its own steps.

        Raises:
            ValueError: the shares are invalid, or no step is left for training.
        """
        times = [table.times for table in self.tables if table.times is not None]
        grid = np.unique(np.concatenate(times)) if len(times) > 1 else None
        bounds = [_bounds(table, grid, shares) for table in self.tables]
        if all(train == 0 for train, *_ in bounds):
            raise ValueError(f"{self.place}: has {len(self.longest.values)} steps, its train part none")
        parts: list[Panel] = []
        starts = [0] * len(bounds)
        for ends in zip(*bounds, strict=True):
            tables = (table.steps(*span) for table, *span in zip(self.tables, starts, ends, strict=True))
            parts.append(self._replace(tables=tuple(tables)))
            starts = list(ends)
        return Splits(*parts) if shares[2] else Splits(*parts[:2])


def _bounds(table: SeriesTable, grid: Times | None, shares: Sequence[float]) -> tuple[int, int, int]:
    """Return the ends of the parts of a table, which lie at the same times of a ``grid`` in all of them."""
    if table.times is None or grid is None:
        return split_by_time(len(table.values), shares)
    train, val, end = (
        len(table.times) if bound == len(grid) else int(np.searchsorted(table.times, grid[bound]))
        for bound in split_by_time(len(grid), shares)
    )
    return train, val, end
