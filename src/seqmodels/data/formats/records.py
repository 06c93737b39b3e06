"""Streaming records from a file or pipe: CSV or TSV rows, JSON lines, lines of text."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, get_args

from seqmodels.data.formats.csv_rows import csv_rows
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines

Format = Literal["csv", "tsv", "jsonl", "text"]
SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}


class Record(NamedTuple):
    """A record and its location: ``"new.csv, line 3"``."""

    place: str
    fields: dict[str, Any]


def format_of(path: str, given: str | None, argument: str = "format") -> Format:
    """Return the format of a file: ``given``, or inferred from its suffix; a pipe (``-``) is lines of text.

    Raises:
        ValueError: unknown format.
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
    """Yield the records of a UTF-8 stream lazily.

    CSV and TSV have a header, and a record maps columns to strings. A JSON line is an object. A line of text becomes
    the field ``text``.

    Raises:
        ValueError: a line is not UTF-8 or not in the format; the message names file and line.
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
