"""Numeric series in delimited text: one row per step, one column per series, optionally a time column."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.csv_rows import Row, csv_rows
from seqmodels.data.formats.gaps import Impute, Numbers, filled
from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.formats.times import Frequency, Gaps, Times, frequency_of, parse_times
from seqmodels.errors import nearest

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-"))  # in lower case


class CSVOptions(NamedTuple):
    """Options for reading a table as series."""

    time: str | None = None  # time column, if there is one
    columns: tuple[str, ...] | None = None  # columns to read; None: all numeric ones except the time
    header: bool = True  # the first line has the column names; else they are "0", "1", ...
    delimiter: str = ","
    date_format: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None  # imputation of missing values; None: raise an error

    def check(self) -> None:
        """Raise ``ValueError``, naming the option, if a value is not among its choices."""
        for name, value, choices in (
            ("gaps", self.gaps, get_args(Gaps)),
            ("impute", self.impute, (*get_args(Impute), None)),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character, got {self.delimiter!r}")


class SeriesTable(NamedTuple):
    """Aligned series."""

    names: tuple[str, ...]
    values: Tensor  # (steps, series) float64, finite
    times: Times | None = None  # (steps,)
    frequency: Frequency | None = None
    features: int = 0  # number of trailing series that are past-only inputs, not forecast
    place: str = ""  # name of the data in error messages
    options: CSVOptions = CSVOptions()  # how the table was read, also used for new rows

    def steps(self, first: int, end: int) -> "SeriesTable":
        """Return the steps from ``first`` up to, but not including, ``end``."""
        times = None if self.times is None else self.times[first:end]
        return self._replace(values=self.values[first:end], times=times)


def read_series(content: bytes, name: str, options: CSVOptions) -> SeriesTable:
    """Parse the series from UTF-8 file content; ``name`` is used in error messages.

    Fields may be quoted, lines may end in LF or CRLF, the last line end is optional, and blank lines are skipped.

    Raises:
        ValueError: invalid content; the message names line and column.
    """
    options.check()
    source = io.StringIO(decoded(content, name), newline="")
    rows = [row for row in csv_rows(source, name, options.delimiter) if len(row.cells) > 1 or row.cells[0].strip()]
    if not rows:
        raise ValueError(f"{name} is empty")
    header = rows.pop(0).cells if options.header else [str(n) for n in range(len(rows[0].cells))]
    return series_of(header, rows, name, options)


def series_of(header: Sequence[str], rows: Sequence[Row], name: str, options: CSVOptions) -> SeriesTable:
    """Return the series of a table with the given column names.

    Raises:
        ValueError: invalid content; the message names line and column.
    """
    if not rows:
        raise ValueError(f"{name} has no rows")
    for twice in header:
        if list(header).count(twice) > 1:
            raise ValueError(f"{name}: the column {twice!r} is named twice")
    for place, cells in rows:
        if len(cells) != len(header):
            raise ValueError(f"{place}: {len(cells)} fields, but there are {len(header)} columns")
    index = {column: number for number, column in enumerate(header)}
    times, frequency = None, None
    if options.time is not None:
        column = _column(options.time, index, name)
        texts = [row.cells[column].strip() for row in rows]
        times = parse_times(texts, lambda row: f"{rows[row].place}, column {options.time}", options.date_format)
        frequency = frequency_of(times, lambda row: f"{rows[row].place}, column {options.time}", options.gaps)
    names = options.columns or _numeric(header, rows[0], options.time)
    if not names:
        raise ValueError(f"{name} has no column with numbers beside the time")
    values = [_numbers(rows, _column(column, index, name), column, options.impute) for column in names]
    return SeriesTable(
        tuple(names), torch.from_numpy(np.stack(values, 1)), times, frequency, place=name, options=options
    )


def _column(column: str, index: Mapping[str, int], name: str) -> int:
    if column in index:
        return index[column]
    raise ValueError(f"{name} has no column {column!r}{nearest(column, index)} (it has: {', '.join(index)})")


def _numeric(header: Sequence[str], first: Row, time: str | None) -> tuple[str, ...]:
    """Return the columns whose first cell is a number or empty."""
    return tuple(
        column
        for column, cell in zip(header, first.cells, strict=True)
        if column != time and (cell.strip().lower() in MISSING or not math.isnan(parsed_number(cell)))
    )


def _numbers(rows: Sequence[Row], index: int, column: str, impute: Impute | None) -> Numbers:
    values = np.array([parsed_number(row.cells[index]) for row in rows])
    missing = np.zeros(len(values), bool)
    for row in (~np.isfinite(values)).nonzero()[0].tolist():
        cell = rows[row].cells[index]
        missing[row] = cell.strip().lower() in MISSING
        place = f"{rows[row].place}, column {column}"
        if not missing[row]:
            raise ValueError(f"{place}: must be a finite number, got {cell!r}")
        if impute is None:
            raise ValueError(
                f"{place}: a value is missing ({cell!r}); data.impute=forward, linear or zero would fill it"
            )
    if missing.all():
        raise ValueError(f"{rows[0].place}, column {column}: every value is missing")
    if impute is None or not missing.any():
        return values
    return filled(values, missing, impute, f"{rows[0].place}, column {column}")


def table_of(columns: Mapping[str, Sequence[object]], name: str) -> tuple[list[str], list[Row]]:
    """Return header and rows of a table given column by column, as in a JSON line.

    Raises:
        ValueError: the columns differ in length.
    """
    lengths = {column: len(cells) for column, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{name}: columns must have as many values as each other, got {lengths}")
    cells: Iterable[tuple[object, ...]] = zip(*columns.values(), strict=True)
    texts = [["" if cell is None else str(cell) for cell in row] for row in cells]
    return list(columns), [Row(f"{name}, step {number}", row) for number, row in enumerate(texts, start=1)]
