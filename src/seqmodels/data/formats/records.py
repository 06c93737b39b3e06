"""Streaming records from a file or pipe: rows of CSV, TSV or Parquet, JSON lines, lines of text."""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import IO, Any, Literal, NamedTuple, get_args

from seqmodels.data.formats.files import unpacked_stream
from seqmodels.data.formats.parquet import read_parquet
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines
from seqmodels.data.formats.table import DELIMITERS, CSVDialect, columns_of, csv_rows, is_blank, ragged, suffix_of

log = logging.getLogger("seqmodels")

DIALECT = CSVDialect()
Format = Literal["csv", "tsv", "jsonl", "parquet", "text"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
}


class Record(NamedTuple):
    """A record and its location: ``"new.csv, line 3"``."""

    place: str
    fields: dict[str, Any]
    error: str = ""  # why it cannot be read, with its location


def format_of(path: str, given: str | None, argument: str = "format") -> Format:
    """Return the format of a file: ``given``, or inferred from its suffix; a pipe (``-``) is lines of text.

    Of a suffix ``.csv.gz``, the first counts.

    Raises:
        ValueError: unknown format.
    """
    if given is not None:
        if given not in get_args(Format):
            raise ValueError(f"{argument} must be one of {', '.join(get_args(Format))}, got {given!r}")
        return given  # type: ignore[return-value]
    if path == "-":
        return "text"
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"{path}: its suffix says no format (known: {known}); {argument}= says it")
    return SUFFIXES[suffix]


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
    first_line = next(lines, "")
    delimiter = dialect.delimiter or ("," if kind == "csv" else "\t")
    others = [other for other in DELIMITERS if other in first_line]
    if dialect.header and delimiter not in first_line and len(others) == 1:
        log.info("%s: columns are delimited by %r in place of %r", name, others[0], delimiter)
        delimiter = others[0]
    rows = csv_rows(chain([first_line], lines), name, delimiter, quotes=dialect.quotes)
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
