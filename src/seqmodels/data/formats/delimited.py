"""Delimited text with labels: CSV and TSV, with or without a header."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.formats.csv_rows import csv_rows
from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import LabelledTexts

Column = str | int


class CSVDialect(NamedTuple):
    """Format of a delimited file.

    If ``delimiter`` is None, it is a tab for ``.tsv`` files, else a comma. Without a ``header``, columns are numbered
    from 0. With ``quotes``, fields in double quotes may contain delimiters, line breaks and doubled quotes.
    """

    delimiter: str | None = None
    header: bool = True
    quotes: bool = True
    encoding: str = "utf-8"


def read_table(
    path: Path, text: Column | Sequence[Column], label: Column, form: CSVDialect, *, separator: str | None = None
) -> LabelledTexts:
    """Return the texts and labels of a file, plain or ``.gz``. Blank lines are skipped.

    Args:
        path: path of the file.
        text: text column; several columns are joined with a space.
        label: label column.
        form: format of the file.
        separator: separates the labels of a row, which may then have none; if None, each row has exactly one.

    Raises:
        ValueError: the file is missing, has another encoding or lacks a column, or a row has too few or too many fields
            or no label; the message names file and line.
    """
    return parse_table(_content(path), str(path), text, label, form, separator=separator)


def parse_table(
    content: bytes,
    name: str,
    text: Column | Sequence[Column],
    label: Column,
    form: CSVDialect,
    *,
    separator: str | None = None,
) -> LabelledTexts:
    """Like :func:`read_table`, from the bytes of a file; ``name`` is used in error messages."""
    delimiter = form.delimiter or ("\t" if name.removesuffix(".gz").endswith(".tsv") else ",")
    source = io.StringIO(decoded(content, name, form.encoding), newline="")
    found = LabelledTexts([], [], [], tuple(map(str, listed(text))) if form.header else ("text",))
    columns, texts, target = list[Column](), list[int](), 0
    for place, row in csv_rows(source, name, delimiter, quotes=form.quotes):
        if not columns:
            columns = list(row) if form.header else list(range(len(row)))
            texts = [_find(column, columns, place) for column in listed(text)]
            target = _find(label, columns, place)
            if form.header:
                continue
        if len(row) != len(columns):
            raise ValueError(f"{place}: {len(row)} fields, where the first line has {len(columns)}")
        found.texts.append(" ".join(row[index] for index in texts))
        found.labels.append(labels_of(row[target], separator, f"{place}, column {label!r}"))
        found.places.append(place)
    if not found.texts:
        raise ValueError(f"{name} has no rows{' below its header' if columns else ''}")
    return found


def labels_of(field: str, separator: str | None, place: str) -> str | tuple[str, ...]:
    if separator is not None:
        return tuple(dict.fromkeys(label for part in field.split(separator) if (label := part.strip())))
    if not field.strip():
        raise ValueError(f"{place}: there is no label")
    return field.strip()


def listed(column: Column | Sequence[Column]) -> list[Column]:
    """Return one or several columns as a list."""
    return [column] if isinstance(column, str | int) else list(column)


def _find(column: Column, columns: list[Column], place: str) -> int:
    if columns.count(column) == 1:
        return columns.index(column)
    what = "stands there twice" if column in columns else "is not there"
    raise ValueError(f"{place}: the column {column!r} {what} (there are: {', '.join(map(repr, columns))})")


def _content(path: Path) -> bytes:
    try:
        return unpacked(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
