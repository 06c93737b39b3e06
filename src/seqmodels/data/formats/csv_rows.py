"""CSV rows with their location in the file."""

import csv
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple


class Row(NamedTuple):
    """The cells of a row and its location: ``"my.csv, line 3"``."""

    place: str
    cells: list[str]


def csv_rows(lines: Iterable[str], name: str, delimiter: str, *, quotes: bool = True) -> Iterator[Row]:
    """Yield the rows of delimited text lazily, skipping empty lines; ``name`` is used in error messages.

    Raises:
        ValueError: a quoted field is not closed or is followed by text, or a field is too long; with the line.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader, line = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting), 1
    try:
        for cells in reader:
            place, line = f"{name}, line {line}", reader.line_num + 1
            if cells:
                yield Row(place, cells)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}") from error
