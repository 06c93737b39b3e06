"""Streaming records from a file or pipe: rows of CSV, TSV or Parquet, JSON lines, lines of text."""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import IO, Any, NamedTuple

from seqmodels.data.formats.files import unpacked_stream
from seqmodels.data.formats.parquet import read_parquet
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines
from seqmodels.data.formats.suffixes import Format
from seqmodels.data.formats.table import (
    DELIMITERS,
    CSVDialect,
    columns_of,
    csv_rows,
    declared_delimiter,
    is_blank,
    ragged,
)

log = logging.getLogger("seqmodels")

DIALECT = CSVDialect()


class Record(NamedTuple):
    """A record and its location: ``"new.csv, line 3"``."""

    place: str
    fields: dict[str, Any]
    error: str = ""  # why it cannot be read, with its location


def read_records(stream: IO[bytes], name: str, kind: Format, dialect: CSVDialect = DIALECT) -> Iterator[Record]:
    """Yield the records of a stream lazily; a stream of gzip is unpacked.

    A row with too few or too many fields, or a line that is not a JSON object, becomes a record with an error.

    A row of CSV or TSV maps columns to strings, without a header their numbers. A JSON line is an object; blank ones
    are skipped. A line of text becomes the field ``text``.

    Args:
        stream: the file or pipe.
        name: name of the file in error messages.
        kind: its format.
        dialect: how CSV and TSV are written; without a delimiter, it is a comma or a tab. If the first line has none
            of it but another usual delimiter, that is used and logged.

    Raises:
        ValueError: a line is not in the encoding, or quotes are not closed; the message names file and line.
    """
    if kind == "parquet":
        for number, fields in enumerate(read_parquet(stream, name), start=1):
            yield Record(f"{name}, row {number}", fields)
        return
    stream = unpacked_stream(stream, name)
    if kind in ("csv", "tsv"):
        yield from _table(stream, name, kind, dialect.checked())
        return
    for number, line in enumerate(decoded_lines(stream, name, dialect.encoding), start=1):
        place = f"{name}, line {number}"
        if kind == "text":
            yield Record(place, {"text": line.rstrip("\r\n")})
        elif line.strip():
            yield _of_json(line, place)


def readable(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the same records.

    Raises:
        ValueError: a record cannot be read.
    """
    for record in records:
        if record.error:
            raise ValueError(record.error)
        yield record


def _of_json(line: str, place: str) -> Record:
    try:
        value = parsed_json(line, place)
    except ValueError as error:
        return Record(place, {}, str(error))
    if isinstance(value, dict):
        return Record(place, value)
    return Record(place, {}, f'{place}: must be a JSON object, like {{"text": ...}}, got {type(value).__name__}')


def _table(stream: IO[bytes], name: str, kind: Format, dialect: CSVDialect) -> Iterator[Record]:
    lines = decoded_lines(stream, name, dialect.encoding, newline="")
    declared, first_line = declared_delimiter(next(lines, ""))
    first_line = first_line if declared is None else next(lines, "")
    delimiter = declared or dialect.delimiter or ("," if kind == "csv" else "\t")
    others = [other for other in DELIMITERS if other in first_line]
    if dialect.header and delimiter not in first_line and len(others) == 1:
        log.info("%s: columns are delimited by %r in place of %r", name, others[0], delimiter)
        delimiter = others[0]
    rows = csv_rows(chain(["\n"] if declared else [], [first_line], lines), name, delimiter, quotes=dialect.quotes)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{name} is empty" + (": its first line must name the columns" if dialect.header else ""))
    columns = columns_of(first, header=dialect.header)
    for row in rows if dialect.header else chain([first], rows):
        if is_blank(row, columns):
            continue
        yield Record(
            row.place, dict(zip_longest(columns, row.cells[: len(columns)], fillvalue="")), ragged(row, columns)
        )
