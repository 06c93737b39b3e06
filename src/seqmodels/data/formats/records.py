"""Records of a file or a pipe, one at a time: rows of CSV or TSV, lines of JSON, lines of text."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

from seqmodels.data.formats.csv_rows import csv_rows
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines

Format = Literal["csv", "tsv", "jsonl", "text"]
SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}


class Record(NamedTuple):
    """A record and where it stands: ``"new.csv, line 3"``."""

    place: str
    fields: dict[str, Any]


def format_of(path: str, given: str | None, argument: str = "format") -> Format:
    """Return the format of a file, by what is ``given`` or by its suffix; a pipe (``-``) has lines of text.

    Raises:
        ValueError: it is unknown.
    """
    if given is not None:
        if given not in get_args(Format):
            raise ValueError(f"{argument} must be one of {', '.join(get_args(Format))}, got {given!r}")
        return given  # type: ignore[return-value]
    if path == "-":
        return "text"
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"{path}: its suffix says no format (known: {known}); {argument}= says it")
    return SUFFIXES[suffix]


def read_records(stream: IO[bytes], name: str, kind: Format) -> Iterator[Record]:
    """Yield the records of a stream of UTF-8 as they come.

    CSV and TSV have a header; a record has its columns as texts. A line of JSON is an object. A line of text is the
    field ``text``.

    Raises:
        ValueError: a line is no UTF-8 or not of the format; the message names file and line.
    """
    lines = decoded_lines(stream, name)
    if kind in ("csv", "tsv"):
        yield from _table(lines, name, "," if kind == "csv" else "\t")
        return
    for number, line in enumerate(lines, start=1):
        place = f"{name}, line {number}"
        yield Record(place, {"text": line.rstrip("\r\n")} if kind == "text" else _object(line, place))


def _object(line: str, place: str) -> dict[str, Any]:
    value = parsed_json(line, place)
    if not isinstance(value, dict):
        raise ValueError(f'{place}: must be a JSON object, like {{"text": ...}}, got {type(value).__name__}')
    return value


def _table(lines: Iterator[str], name: str, delimiter: str) -> Iterator[Record]:
    rows = csv_rows(lines, name, delimiter)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{name} is empty: its first line must name the columns")
    place, header = first
    for twice in header:
        if header.count(twice) > 1:
            raise ValueError(f"{place}: the column {twice!r} is named twice")
    for place, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{place}: {len(row)} fields, but the header names {len(header)} columns")
        yield Record(place, dict(zip(header, row, strict=True)))
