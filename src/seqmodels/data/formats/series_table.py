"""Series of numbers in delimited text: one row for each step, one column for each series, perhaps one for the time."""

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
    """How a table becomes a series."""

    time: str | None = None  # the column with the time; None: there is none
    columns: tuple[str, ...] | None = None  # those to read; None: all but the time, as far as they are numbers
    header: bool = True  # the first line names the columns; else they are called "0", "1", ...
    delimiter: str = ","
    date_format: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None  # how missing values are filled; None: they are an error

    def check(self) -> None:
        """Raise ``ValueError``, naming the option, where one is none of its choices."""
        for name, value, choices in (
            ("gaps", self.gaps, get_args(Gaps)),
            ("impute", self.impute, (*get_args(Impute), None)),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character, got {self.delimiter!r}")


class SeriesTable(NamedTuple):
    """Series side by side."""

    names: tuple[str, ...]
    values: Tensor  # (steps, series) float64, finite
    times: Times | None = None  # (steps,)
    frequency: Frequency | None = None
    features: int = 0  # how many of the last series are known of the past alone, and not forecast
    place: str = ""  # what errors call the data
    options: CSVOptions = CSVOptions()  # how the table was read, as new rows are

    def steps(self, first: int, end: int) -> "SeriesTable":
        """Return the steps from ``first`` to before ``end``."""
        times = None if self.times is None else self.times[first:end]
        return self._replace(values=self.values[first:end], times=times)


def read_series(content: bytes, name: str, options: CSVOptions) -> SeriesTable:
    """Return the series of a file's content in UTF-8; ``name`` is what errors call it.

    Fields may be quoted, lines end in LF or CRLF or not at all, blank lines are passed over.

    Raises:
        ValueError: something is wrong with it; the message names line and column.
    """
    options.check()
    source = io.StringIO(decoded(content, name), newline="")
    rows = [row for row in csv_rows(source, name, options.delimiter) if len(row.cells) > 1 or row.cells[0].strip()]
    if not rows:
        raise ValueError(f"{name} is empty")
    header = rows.pop(0).cells if options.header else [str(n) for n in range(len(rows[0].cells))]
    return series_of(header, rows, name, options)


def series_of(header: Sequence[str], rows: Sequence[Row], name: str, options: CSVOptions) -> SeriesTable:
    """Return the series of a table whose columns ``header`` names.

    Raises:
        ValueError: something is wrong with it; the message names line and column.
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
    """Return the columns that begin with a number or with nothing."""
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
    """Return header and rows of a table that is given by its columns, as a line of JSON gives it.

    Raises:
        ValueError: the columns differ in length.
    """
    lengths = {column: len(cells) for column, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{name}: columns must have as many values as each other, got {lengths}")
    cells: Iterable[tuple[object, ...]] = zip(*columns.values(), strict=True)
    texts = [["" if cell is None else str(cell) for cell in row] for row in cells]
    return list(columns), [Row(f"{name}, step {number}", row) for number, row in enumerate(texts, start=1)]
