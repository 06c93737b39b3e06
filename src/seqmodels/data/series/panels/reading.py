"""From a table to a panel: the series of each group, with the same columns and frequency."""

import logging
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.columns import is_missing, parsed_column
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, series_of, stamps_of
from seqmodels.data.formats.table import Table
from seqmodels.data.formats.times.grid import localized
from seqmodels.data.formats.times.parsing import Stamps
from seqmodels.data.series.panels.layouts import Wide
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.panels.roles import Categories, Roles, categories_in, encoded, expanded

log = logging.getLogger("seqmodels")

MOST_COLUMNS = 8  # of those that may tell the series apart, tried in pairs


class Group(NamedTuple):
    """The rows of one group."""

    key: tuple[str, ...]
    table: Table
    stamps: Stamps | None


def groups_of(table: Table, options: CSVOptions, group: Sequence[str]) -> list[Group]:
    """Return the rows of each group, in the order of their first rows.

    Raises:
        ValueError: a row belongs to no group, a time cannot be read, or a group has rows of several series: the message
            names the column that seems to tell them apart.
    """
    stamps = stamps_of(table, options)
    if not group:
        found = [Group((), table, stamps)]
    else:
        rows = _rows_of(table, group)
        found = [Group(key, table.take(taken), stamps and stamps.take(taken)) for key, taken in rows.items()]
    return [_single(rows, options, group) for rows in found]


def _single(rows: Group, options: CSVOptions, group: Sequence[str]) -> Group:
    """Return a group with its times in their zone, in which hours that a clock shows twice are two.

    Raises:
        ValueError: a time does not exist in the zone, or the group has rows of several series.
    """
    if rows.stamps is None:
        return rows
    stamps = localized(rows.stamps, lambda row: rows.table.place(row, options.time_columns[0]), options.timezone)
    _check_single(rows.table, stamps, options, group)
    return rows._replace(stamps=stamps)


def _rows_of(table: Table, group: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    rows: dict[tuple[str, ...], list[int]] = {}
    columns = [table.cells(name) for name in group]
    for row, key in enumerate(zip(*columns, strict=True)):
        if "" in key:
            raise ValueError(f"{table.place(row, group[key.index('')])}: is empty, so the row belongs to no series")
        rows.setdefault(key, []).append(row)
    return rows


def _check_single(table: Table, stamps: Stamps, options: CSVOptions, group: Sequence[str]) -> None:
    """Raise ``ValueError`` if time restarts, and there are columns by which it does not."""
    instants = stamps.times if stamps.offsets is None else stamps.times - stamps.offsets
    change = np.diff(instants).astype(np.int64)
    if (change > 0).all() or (change < 0).all():
        return
    row = int((change <= 0).argmax()) + 1
    codes = {
        column: np.unique(table.cells(column), return_inverse=True)[1]
        for column in table.columns
        if column not in (*options.time_columns, *group)
    }
    few = [column for column, code in codes.items() if 0 < code.max() < len(code) // 2]
    few.sort(key=lambda column: codes[column].max())
    pairs = combinations(few[:MOST_COLUMNS], 2)
    for columns in [*((column,) for column in few), *pairs]:
        number = np.unique(np.stack([codes[column] for column in columns]), axis=1, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((np.arange(len(number)), number))
        same = np.diff(number[order]) == 0
        if (np.diff(instants[order]).astype(np.int64)[same] > 0).all():
            names = columns[0] if len(columns) + len(group) == 1 else f"[{','.join((*group, *columns))}]"
            seem = "seems" if len(columns) == 1 else "seem"
            which = "column that tells" if len(columns) == 1 else "columns that tell"
            raise ValueError(
                f"{table.place(row, options.time_columns[0])}: time restarts, as where several series are in one "
                f"table, and {' and '.join(map(repr, columns))} {seem} to be the {which} them apart: data.group={names}"
            )


def history(table: Table, target: Sequence[str], *, leading: bool) -> tuple[int, int]:
    """Return the span of rows from the first, or with ``leading`` the first with a target, to the last with one."""
    indices = [table.index(column) for column in target]
    known = [n for n, row in enumerate(table.rows) if not all(is_missing(row.cells[index]) for index in indices)]
    if not known:
        raise ValueError(f"{table.rows[0].place}: every value of {', '.join(target)} is missing")
    return (known[0] if leading else 0), known[-1] + 1


class Reading(NamedTuple):
    """How a table becomes series."""

    options: CSVOptions
    roles: Roles
    categories: Categories
    wide: Wide | None = None  # how to make it a long table

    def groups(self, table: Table) -> list[Group]:
        """Return the rows of each group of a long table, with words as numbers."""
        return groups_of(encoded(table, self.categories), self.options, self.roles.group)

    def series(self, group: Group, *, last: int | None = None) -> SeriesTable:
        """Return the series of a group up to the last row with a target."""
        targets, features, future = self.roles.inputs(self.categories)
        first, end = history(group.table, targets, leading=self.wide is not None)
        if (rest := len(group.table.rows) - end) and self.wide is None and not self.roles.future:
            place = group.table.rows[end].place
            log.info("%s: the last %d rows have no %s, and are left out", place, rest, " and ".join(targets))
        names = (*targets, *features, *future)
        table = series_of(*self._span(group, first, end, names), last=last)
        return table._replace(features=len(names) - len(targets))

    def ahead(self, group: Group, steps: int) -> SeriesTable:
        """Return the columns that are known ahead of the ``steps`` rows after the last with a target.

        Raises:
            ValueError: there are fewer rows, or values are missing.
        """
        targets, _, future = self.roles.inputs(self.categories)
        first, end = history(group.table, targets, leading=self.wide is not None)
        rows = group.table.rows
        if (missing := steps - (len(rows) - end)) <= 0:
            table = series_of(*self._span(group, first, end + steps, future), last=steps)
            missing = 0 if table.rows is None else int((table.rows < 0).sum())
        if missing > 0:
            columns = ", ".join(self.roles.future)
            raise ValueError(
                f"{rows[-1].place}: {columns} must be given for the {steps} steps to forecast, in rows without "
                f"{' and '.join(targets)}: {missing} of these rows {'is' if missing == 1 else 'are'} missing"
            )
        return table

    def _span(
        self, group: Group, first: int, end: int, names: tuple[str, ...]
    ) -> tuple[Table, CSVOptions, Stamps | None]:
        taken = range(first, end)
        stamps = group.stamps and group.stamps.take(taken)
        return group.table.take(taken), self.options._replace(columns=names), stamps


def read_panel(table: Table, options: CSVOptions, roles: Roles, wide: Wide | None = None) -> Panel:
    """Return the panel of a table.

    Args:
        table: the table as written.
        options: how to read its times and numbers.
        roles: what each column is, of the long table that it becomes.
        wide: how to make it a long table, if it is wide.

    Raises:
        ValueError: the table cannot be read; the message names line and column.
    """
    if wide is not None:
        wide = wide.settled(table)
        table = wide.long(table)
    roles = roles.settled(table, options.time_columns)
    categories = categories_in(table, (*roles.features, *roles.future, *roles.static))
    reading = Reading(options, roles, categories, wide)
    groups = reading.groups(table)
    longest = max(range(len(groups)), key=lambda number: len(groups[number].table.rows))
    first = reading.series(groups[longest])
    settled = reading._replace(options=options._replace(frequency=first.frequency))
    tables = [first if n == longest else settled.series(group) for n, group in enumerate(groups)]
    static = expanded(roles.static, categories)
    return Panel(
        keys=tuple(group.key for group in groups),
        tables=tuple(tables),
        roles=roles,
        wide=wide,
        categories=categories,
        static_names=static,
        static=torch.stack([static_values(group, roles.static, static) for group in groups]),
    )


def static_values(group: Group, columns: Sequence[str], names: Sequence[str]) -> Tensor:
    """Return the static features of a group, ``(static,)``.

    Args:
        group: rows of the group.
        columns: the static columns.
        names: these as columns of numbers.

    Raises:
        ValueError: a feature changes within the group, or is missing.
    """
    table = group.table
    for column in columns:
        first, *others = table.cells(column)
        if (row := next((n for n, cell in enumerate(others, start=1) if cell != first), 0)) > 0:
            raise ValueError(
                f"{table.place(row, column)}: changes from {first!r} to {others[row - 1]!r}, but a column of "
                f"data.static must have one value in all rows of {', '.join(group.key)}; data.features can change"
            )
        if is_missing(first):
            raise ValueError(f"{table.place(0, column)}: a value is missing ({first!r})")
    top = table.take([0])
    return torch.tensor([parsed_column(top, name)[0].item() for name in names], dtype=torch.float64)
