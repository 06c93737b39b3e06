"""Tables: delimited text, with or without a header, and Parquet files."""

import csv
import io
import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.parquet import read_parquet
from seqmodels.data.formats.strict_text import check_encoding, decoded
from seqmodels.data.formats.suffixes import suffix_of
from seqmodels.errors import nearest

log = logging.getLogger("seqmodels")

DELIMITERS = (",", ";", "\t", "|")
SAMPLE, MOST = 50, 1 << 20  # rows, and characters at most, by which a delimiter is recognised


Column = str | int
Columns = Column | Sequence[Column]
"""Columns as given in options: one or several, by name, or without a header by number."""


class Row(NamedTuple):
    """The cells of a row and its location: ``"my.csv, line 3"``."""

    place: str
    cells: list[str]


class CSVDialect(NamedTuple):
    """How a delimited file is written.

    If ``delimiter`` is None, it is a tab for ``.tsv`` files, else recognised among comma, semicolon, tab and ``|`` by
    the first rows. Without a ``header``, columns are called by their numbers from 0. With ``quotes``, fields in double
    quotes may contain delimiters, line breaks and doubled quotes. ``decimal`` is the decimal separator of numbers.
    ``suffix`` is that of the file that was read: others with it are delimited as well, whatever it is.

    Example:
        >>> Table.parse(b"day;load\\nMon;1,5\\n", "my.csv", CSVDialect(decimal=",")).dialect.delimiter
        ';'
    """

    delimiter: str | None = None
    header: bool = True
    quotes: bool = True
    encoding: str = "utf-8"
    decimal: str = "."
    suffix: str | None = None

    def checked(self) -> "CSVDialect":
        r"""Return the dialect with a written ``\t`` as a tab; an empty delimiter, as a tab becomes in a shell, is None.

        Raises:
            ValueError: a value is not among its choices; the message names the option.
        """
        delimiter = "\t" if self.delimiter == "\\t" else self.delimiter or None
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(f"delimiter must be a single character, like ';' or '\\t', got {delimiter!r}")
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}")
        check_encoding(self.encoding)
        return self._replace(delimiter=delimiter)

    def settled(self, text: str, name: str) -> "CSVDialect":
        """Return the dialect with the delimiter and suffix of a file whose beginning is ``text``."""
        suffix = suffix_of(name)
        usual = "\t" if suffix == ".tsv" else recognised_delimiter(text, quotes=self.quotes) or ","
        return self._replace(delimiter=self.delimiter or usual, suffix=suffix)


class Table(NamedTuple):
    """A table as written."""

    name: str  # name of the file in error messages
    columns: tuple[str, ...]
    rows: list[Row]  # each has a cell for every column
    dialect: CSVDialect  # as it was read: its delimiter is not None
    hint: str = ""  # how to read the file instead, for an error about a column that is missing

    @classmethod
    def parse(cls, content: bytes, name: str, dialect: CSVDialect) -> "Table":
        """Read a file from its bytes; a name that ends in ``.parquet`` is Parquet.

        Blank lines are skipped; lines end in LF, CRLF or CR.

        Raises:
            ValueError: it has another encoding, no rows, a column named twice or a row of another length; the message
                names the line.
        """
        dialect = dialect.checked()
        if name.endswith(".parquet"):
            return cls._of_parquet(content, name, dialect)
        text = decoded(content, name, dialect.encoding)
        declared, text = declared_delimiter(text)
        dialect = dialect._replace(delimiter=dialect.delimiter or declared)
        dialect = dialect.settled(text, name)
        assert dialect.delimiter is not None
        rows = list(csv_rows(io.StringIO(text, newline=""), name, dialect.delimiter, quotes=dialect.quotes))
        if not rows:
            raise ValueError(f"{name} is empty")
        columns = columns_of(rows[0], header=dialect.header)
        if dialect.header:
            if not any(math.isnan(parsed_number(cell, dialect.decimal)) for cell in rows[0].cells):
                log.warning(
                    "%s: its numbers are read as names of columns; data.header=false reads them as values",
                    rows[0].place,
                )
            del rows[0]
        if not rows:
            raise ValueError(f"{name} has no rows below its header")
        other = recognised_delimiter(text, quotes=dialect.quotes)
        looks = f"; the file looks delimited by {other!r}: data.delimiter={_written(other)}" if other else ""
        hint = looks if other != dialect.delimiter else ""
        rows = [row for row in rows if not is_blank(row, columns)]
        for row in rows:
            if error := ragged(row, columns):
                raise ValueError(f"{error}{hint}")
        return cls(name, columns, rows, dialect, hint)

    @classmethod
    def _of_parquet(cls, content: bytes, name: str, dialect: CSVDialect) -> "Table":
        found = list(read_parquet(io.BytesIO(content), name))
        if not found:
            raise ValueError(f"{name} has no rows")
        rows = [Row(f"{name}, row {number}", list(map(str, row.values()))) for number, row in enumerate(found, start=1)]
        return cls(name, tuple(found[0]), rows, dialect._replace(delimiter=dialect.delimiter or ","))

    def index(self, column: Column) -> int:  # type: ignore[override]  # of a tuple, which a table is by chance
        """Return the number of a column, given by name, or without a header by number.

        Raises:
            ValueError: there is no such column.
        """
        if str(column) in self.columns:
            return self.columns.index(str(column))
        known = ", ".join(map(repr, self.columns))
        close = nearest(str(column), self.columns)
        hint = self.hint
        has_line = self.dialect.header and not self.name.endswith(".parquet")
        if has_line and not (hint or close):  # its first row may have been taken for names
            hint = "; data.header=false trains on a file without a line of names"
        raise ValueError(f"{self.name} has no column {column!r}{close} (it has: {known}){hint}")

    def cells(self, column: Column) -> list[str]:
        """Return the cells of a column as written, without spaces around them."""
        index = self.index(column)
        return [row.cells[index].strip() for row in self.rows]

    def take(self, rows: Sequence[int]) -> "Table":
        """Select rows."""
        return self._replace(rows=[self.rows[row] for row in rows])

    def place(self, row: int, column: Column) -> str:
        """Return the location of a cell for error messages: ``"my.csv, line 3, column price"``."""
        return f"{self.rows[row].place}, column {column}"


def names_of(columns: Columns | None) -> tuple[str, ...]:
    """Return one, several or no columns by name; those without a header are called by their numbers.

    Example:
        >>> names_of("day"), names_of([0, "load"]), names_of(None)
        (('day',), ('0', 'load'), ())
    """
    given = [] if columns is None else [columns] if isinstance(columns, str | int) else columns
    return tuple(map(str, given))


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
        hint = f" in the row from line {line}; data.quotes=false takes quotation marks as text" if quotes else ""
        raise ValueError(f"{name}, line {reader.line_num}: {error}{hint}") from error


def columns_of(first: Row, *, header: bool) -> tuple[str, ...]:
    """Return the names of the columns, given the first row of a table; one without a name is called ``column 3``.

    Raises:
        ValueError: a column is named twice.
    """
    if not header:
        return tuple(map(str, range(len(first.cells))))
    names = [cell or f"column {number}" for number, cell in enumerate(first.cells, start=1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{first.place}: the column {name!r} is named twice")
    return tuple(names)


def is_blank(row: Row, columns: Sequence[str]) -> bool:
    """Return whether a row of a table with several columns is a line of spaces."""
    return len(row.cells) == 1 < len(columns) and not row.cells[0].strip()


def ragged(row: Row, columns: Sequence[str]) -> str:
    """Return what is wrong with the length of a row; empty if nothing is."""
    if len(row.cells) == len(columns):
        return ""
    return f"{row.place}: {len(row.cells)} fields, but there are {len(columns)} columns"


def declared_delimiter(text: str) -> tuple[str | None, str]:
    """Return the delimiter in a first line ``sep=;``, which is for Excel, and the text with that line blank.

    Example:
        >>> declared_delimiter("sep=;\\na;b\\n")
        (';', '\\na;b\\n')
    """
    said = re.match(r'"?sep=([^"\n])"?\r?\n', text)
    return (None, text) if said is None else (said[1], "\n" + text[said.end() :])


def recognised_delimiter(text: str, *, quotes: bool) -> str | None:
    """Return the delimiter that splits the first rows into the same number of fields, at least 2; None if none does.

    Most of the rows must have as many fields as the first. If several delimiters do equally well, it is the one that
    leaves the fewest fields with another delimiter in them (except for a decimal comma), else the first of
    ``DELIMITERS``.
    """
    scores: dict[str, tuple[float, float]] = {}
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(csv_rows(io.StringIO(text[:MOST], newline=""), "", delimiter, quotes=quotes), SAMPLE))
        except ValueError:
            continue
        if rows and len(rows[0].cells) > 1:
            same = [len(row.cells) == len(rows[0].cells) for row in rows]
            whole = [_is_whole(cell) for row in rows for cell in row.cells]
            scores[delimiter] = (sum(same) / len(same), sum(whole) / len(whole))
    best = max(scores, key=lambda delimiter: scores[delimiter], default=None)
    return best if best is not None and scores[best][0] > 0.5 else None


def _is_whole(cell: str) -> bool:
    """Return whether a field is a number with a decimal comma or has no delimiter in it."""
    return not any(other in cell for other in DELIMITERS) or not math.isnan(parsed_number(cell, ","))


def _written(delimiter: str) -> str:
    return "'\\t'" if delimiter == "\t" else f"'{delimiter}'"
