"""Numeric series in delimited text: one row per step, one column per series, optionally with their times."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.formats.columns import numeric_columns, parsed_column
from seqmodels.data.formats.gaps import Filled, Impute, Numbers, filled
from seqmodels.data.formats.table import CSVDialect, Row, Table
from seqmodels.data.formats.times.frequency import Frequency, Gaps
from seqmodels.data.formats.times.grid import Grid, grid_of
from seqmodels.data.formats.times.parsing import ISO, UNIX, Stamps, log_change_of_zone, parse_times
from seqmodels.data.formats.times.zones import Offsets, Times, TimeStyle, style_of, wall_clock, zone_of

SHOWN = 3  # places of filled values


class CSVOptions(NamedTuple):
    """Options for reading a table as series."""

    time: str | tuple[str, ...] | None = None  # time column; several, such as date and hour, are joined with a space
    columns: tuple[str, ...] | None = None  # columns to read; None: all numeric ones except the time
    dialect: CSVDialect = CSVDialect()
    date_format: str | None = None
    timezone: str | None = None  # zone of the wall clock; None: that of the times, if they have one
    gaps: Gaps = "error"
    impute: Impute | None = None  # imputation of missing values; None: raise an error
    season: int | None = None  # steps in a season, for impute=seasonal; None: that of the frequency
    frequency: Frequency | None = None  # that the times must have; None: found by the times

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Names of the columns of the time."""
        return (self.time,) if isinstance(self.time, str) else tuple(self.time or ())

    def checked(self) -> "CSVOptions":
        """Return the options with a checked dialect.

        Raises:
            ValueError: a value is not among its choices; the message names the option.
        """
        for name, value, choices in (
            ("gaps", self.gaps, get_args(Gaps)),
            ("impute", self.impute, (*get_args(Impute), None)),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")
        if self.gaps == "fill" and (self.time is None or self.impute is None):
            raise ValueError("gaps=fill needs time=, by which rows are missing, and impute=, by which to fill them in")
        if self.timezone is not None:
            zone_of(self.timezone)
        if self.date_format is not None and "%" not in self.date_format and self.date_format not in (ISO, *UNIX):
            raise ValueError(
                f"date_format must be like '%d.%m.%Y', or one of {', '.join((ISO, *UNIX))}, got {self.date_format!r}"
            )
        return self._replace(dialect=self.dialect.checked())


class SeriesTable(NamedTuple):
    """Aligned series.

    Example:
        >>> table = read_series(b"day,price\\n2020-01-30,3\\n2020-01-31,5\\n", "my.csv", CSVOptions(time="day"))
        >>> table.names, table.style.texts(table.future(2))
        (('price',), ['2020-02-01', '2020-02-02'])
    """

    names: tuple[str, ...]
    values: Tensor  # (steps, series) float64, finite
    times: Times | None = None  # (steps,) datetime64[us] of the wall clock
    frequency: Frequency | None = None
    features: int = 0  # number of trailing series that are past-only inputs, not forecast
    place: str = ""  # name of the data in error messages
    options: CSVOptions = CSVOptions()  # how the table was read, settled: reads new rows in the same way
    offsets: Offsets | None = None  # (steps,) of the wall clock from UTC, if the times have a zone
    zone: str | None = None  # IANA name or offset; None without one, or if it changes by unknown rules
    rows: NDArray[np.int64] | None = None  # (steps,) the row of the table; -1 if it was missing and is filled in
    filled: Filled = Filled()
    observed: Tensor | None = None  # (steps, series) bool, false where a value is filled in; None: none is

    def steps(self, first: int, end: int) -> "SeriesTable":
        """Return the steps from ``first`` up to, but not including, ``end``."""
        times, offsets, rows = (None if x is None else x[first:end] for x in (self.times, self.offsets, self.rows))
        values, observed = self.values[first:end], None if self.observed is None else self.observed[first:end]
        return self._replace(values=values, times=times, offsets=offsets, rows=rows, observed=observed)  # type: ignore[arg-type]

    @property
    def style(self) -> TimeStyle:
        """How the times are written.

        Raises:
            ValueError: the series have no times.
        """
        if self.times is None or self.frequency is None:
            raise ValueError(f"{self.place} has no times")
        return style_of(self.times, self.frequency.microseconds, self.zone)

    def future(self, count: int) -> Times:
        """Return the ``count`` times that follow the last step, on the wall clock.

        If the offset from UTC changes by unknown rules, it is taken to remain that of the last step.

        Raises:
            ValueError: the series have no times.
        """
        if self.times is None or self.frequency is None:
            raise ValueError(f"{self.place} has no times")
        if self.offsets is None or not self.frequency.elapsed:
            return self.frequency.after(self.times[-1], count)
        later = self.frequency.after(self.times[-1] - self.offsets[-1], count)
        return later + self.offsets[-1] if self.zone is None else wall_clock(zone_of(self.zone), later)[0]


def read_series(content: bytes, name: str, options: CSVOptions) -> SeriesTable:
    """Parse the series from the bytes of a file; ``name`` is used in error messages.

    Fields may be quoted, and blank lines are skipped.

    Raises:
        ValueError: invalid content; the message names line and column.
    """
    return series_of(Table.parse(content, name, options.dialect), options)


def stamps_of(table: Table, options: CSVOptions) -> Stamps | None:
    """Return the times of all rows; None if there is no time column.

    Raises:
        ValueError: a time is invalid; the message names line and column.
    """
    columns = options.time_columns
    if not columns:
        return None
    texts = [" ".join(cells) for cells in zip(*(table.cells(column) for column in columns), strict=True)]
    stamps = parse_times(texts, lambda row: table.place(row, columns[0]), options.date_format, options.timezone)
    log_change_of_zone(stamps, table.name, options.timezone)
    return stamps


def series_of(
    table: Table, options: CSVOptions, stamps: Stamps | None = None, *, last: int | None = None
) -> SeriesTable:
    """Return the series of a table.

    Args:
        table: rows of the series.
        options: how to read them.
        stamps: times of the rows, if they are parsed already.
        last: return only so many of the last steps. Values before these may be missing.

    Raises:
        ValueError: invalid content; the message names line and column.
    """
    options = options.checked()
    names = options.columns or numeric_columns(table, options.time_columns)
    stamps = stamps or stamps_of(table, options)
    grid = None
    if stamps is not None:
        grid = grid_of(
            stamps,
            lambda row: table.place(row, options.time_columns[0]),
            gaps=options.gaps,
            frequency=options.frequency,
            timezone=options.timezone,
        )
        options = options._replace(date_format=stamps.date_format, frequency=grid.frequency)
    rows = np.arange(len(table.rows)) if grid is None else grid.rows
    first = 0 if last is None else max(0, len(rows) - last)
    values, missing = _values(table, names, rows, options, first)
    found = SeriesTable(
        names=tuple(names),
        values=torch.from_numpy(values),
        times=None if grid is None else grid.times,
        frequency=options.frequency,
        place=table.name,
        options=options._replace(dialect=table.dialect),
        offsets=None if grid is None else grid.offsets,
        zone=None if grid is None else grid.zone,
        rows=rows,
        filled=_report(table, names, rows, missing, grid),
        observed=torch.from_numpy(~missing) if missing.any() else None,
    )
    return found.steps(first, len(rows))


def _values(
    table: Table, names: Sequence[str], rows: NDArray[np.int64], options: CSVOptions, first: int
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the values ``(steps, series)``, filled in, and which of them were missing.

    Raises:
        ValueError: a value from step ``first`` on is missing and is not to be filled in.
    """
    cells = [parsed_column(table, name) for name in names]
    values = np.stack([numbers[rows] for numbers, _ in cells], 1)
    missing = np.stack([empty[rows] | (rows < 0) for _, empty in cells], 1)
    season = options.season or (1 if options.frequency is None else options.frequency.season)
    for column, name in enumerate(names):
        _check_missing(table, name, rows[first:], missing[first:, column], options.impute)
        if missing[:, column].any():
            how = options.impute or "forward"  # what is missing lies before the first step
            values[:, column] = filled(values[:, column], missing[:, column], how, season)
    return values, missing


def _check_missing(
    table: Table, column: str, rows: NDArray[np.int64], missing: NDArray[np.bool_], impute: Impute | None
) -> None:
    if missing.all():
        raise ValueError(f"{table.rows[0].place}, column {column}: every value is missing")
    if missing.any() and impute is None:
        row = int(rows[missing.argmax()])
        cell = table.rows[row].cells[table.index(column)]
        raise ValueError(
            f"{table.place(row, column)}: a value is missing ({cell!r}); "
            "training with data.impute=forward, linear, seasonal or zero fills such values in"
        )


def _report(
    table: Table,
    names: Sequence[str],
    rows: NDArray[np.int64],
    missing: NDArray[np.bool_],
    grid: Grid | None,
) -> Filled:
    """Return what is missing and so filled in."""
    places = []
    for step in np.flatnonzero(missing.any(1))[:SHOWN].tolist():
        if rows[step] >= 0:
            places.append(table.place(rows[step], names[int(missing[step].argmax())]))
        elif grid is not None:
            style = style_of(grid.times, grid.frequency.microseconds, None)
            places.append(style.texts(grid.times[step : step + 1])[0])
    return Filled(int((rows < 0).sum()), int(missing[rows >= 0].sum()), tuple(places))


def table_of(columns: Mapping[str, Sequence[object]], name: str, dialect: CSVDialect) -> Table:
    """Return a table given column by column, as in a JSON line.

    Raises:
        ValueError: the columns differ in length.
    """
    lengths = {column: len(cells) for column, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{name}: columns must have as many values as each other, got {lengths}")
    cells: Iterable[tuple[object, ...]] = zip(*columns.values(), strict=True)
    texts = [["" if cell is None else str(cell) for cell in row] for row in cells]
    rows = [Row(f"{name}, step {number}", row) for number, row in enumerate(texts, start=1)]
    return Table(name, tuple(columns), rows, dialect)
