"""Layouts of tables: from wide tables to long ones, which have one row per series and time."""

import calendar
import logging
from collections.abc import Iterator
from typing import Literal, NamedTuple

from seqmodels.data.formats.columns import numeric_columns
from seqmodels.data.formats.table import Row, Table

log = logging.getLogger("seqmodels")

Layout = Literal["long", "columns", "years"]

COLUMN, VALUE = "column", "value"  # columns of a table that was wide
MONTH_NAMES = [month.lower() for month in calendar.month_name]  # the first is empty
MONTHS = {12: 1, 4: 3}  # number of columns of a year: months of each


def month_of(name: str) -> int | None:
    """Return the number of the month or quarter that an English name or a number says; None if it says none.

    Example:
        >>> [month_of(name) for name in ("Jan", "december", "03", "Q2", "spring")]
        [1, 12, 3, 2, None]
    """
    text = name.strip().lower().removeprefix("q")
    if text.isdecimal():
        return int(text)
    return next((number for number, month in enumerate(MONTH_NAMES) if len(text) > 2 and month.startswith(text)), None)


class Wide(NamedTuple):
    """A wide table: which of its columns contain the values of series.

    Example:
        >>> from seqmodels.data.formats.table import CSVDialect
        >>> table = Table.parse(b"day,north,south\\n2020-01-01,1,2\\n", "my.csv", CSVDialect())
        >>> [row.cells for row in Wide("columns", ("day",)).long(table).rows]
        [['2020-01-01', 'north', '1'], ['2020-01-01', 'south', '2']]
    """

    layout: Layout
    time: tuple[str, ...]
    """Columns of the time; with ``years``, the column of the year."""
    values: tuple[str, ...] | None = None
    """Columns with values, in their order; None: all with numbers."""
    kept: tuple[str, ...] = ()
    """Columns that belong to all series, or with ``years`` name a series."""

    def settled(self, table: Table) -> "Wide":
        """Return the layout with the columns with values of a table.

        Raises:
            ValueError: a year has neither 12 nor 4 of them, or they are not in the order of the year.
        """
        values = self.values or numeric_columns(table, (*self.time, *self.kept))
        if self.layout == "years" and len(values) not in MONTHS:
            raise ValueError(
                f"{table.name}: layout=years needs 12 or 4 columns with values, months or quarters, got "
                f"{len(values)} ({', '.join(values)}): data.target lists them"
            )
        months = [month_of(name) for name in values]
        if self.layout == "years" and None not in months and months != list(range(1, len(values) + 1)):
            raise ValueError(f"{table.name}: layout=years reads columns in the order of time, got {', '.join(values)}")
        return self._replace(values=values)

    def present(self, table: Table) -> "Wide":
        """Return the layout without the series that a table does not have; other columns with numbers are logged.

        Raises:
            ValueError: the table has none of the series.
        """
        if self.layout == "years" or self.values is None:
            return self
        values = tuple(name for name in self.values if name in table.columns)
        if not values:
            raise ValueError(f"{table.name} has none of the columns {', '.join(self.values)}")
        known = {*self.values, *self.time, *self.kept}
        if others := [name for name in table.columns if name not in known]:
            log.info("%s: columns left out, as the model was trained without them: %s", table.name, ", ".join(others))
        return self._replace(values=values)

    def long(self, table: Table) -> Table:
        """Return the table with one row per series and time.

        Raises:
            ValueError: columns are missing.
        """
        values, years = self.settled(table).values or (), self.layout == "years"
        names = (*self.time, *self.kept, VALUE) if years else (*self.time, *self.kept, COLUMN, VALUE)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{table.name}: rename the column {name!r}, since layout={self.layout} adds one")
        rows = list(self._years(table, values) if years else self._columns(table, values))
        return table._replace(columns=names, rows=rows)

    def _columns(self, table: Table, values: tuple[str, ...]) -> Iterator[Row]:
        shared = [table.index(name) for name in (*self.time, *self.kept)]
        for name in values:
            index = table.index(name)
            for place, cells in table.rows:
                yield Row(f"{place} ({name})", [*(cells[part] for part in shared), name, cells[index]])

    def _years(self, table: Table, values: tuple[str, ...]) -> Iterator[Row]:
        (year,) = self.time
        at, months = table.index(year), MONTHS[len(values)]
        kept, columns = ([table.index(name) for name in names] for names in (self.kept, values))
        for place, cells in table.rows:
            text = cells[at].strip()
            if not (text.isdecimal() and len(text) == 4):
                raise ValueError(f"{place}, column {year}: must be a year like 1957, got {cells[at]!r}")
            for number, (name, index) in enumerate(zip(values, columns, strict=True)):
                time = f"{text}-{1 + number * months:02d}"
                yield Row(f"{place} ({name})", [time, *(cells[part] for part in kept), cells[index]])
