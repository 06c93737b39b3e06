"""Columns, one token a line and an empty line between sentences, as in CoNLL-2003 and files of two columns."""

import re
from collections.abc import Iterable, Iterator

from seqmodels.data.formats.records import Record
from seqmodels.data.formats.tagged.blocks import blocks

DOCUMENT = "-DOCSTART-"  # CoNLL-2003 marks the start of a document by a row with this token
SPACES = re.compile("[ \t]+")  # not those of Unicode, which occur within tokens


def read_columns(
    lines: Iterable[str], name: str, *, token: int = 0, tag: int = -1, delimiter: str | None = None
) -> Iterator[Record]:
    """Yield the sentences of a file lazily, each with its ``tokens`` and ``tags``.

    Rows with the token ``-DOCSTART-`` are skipped. If the column of the tags is not in the file or is that of the
    tokens, as in a file of one column, sentences have no ``tags``. A sentence with a row that has another number of
    columns than the first of the file, or an empty token, becomes a record with an error, which names the line.

    Args:
        lines: lines of the file.
        name: its name in messages.
        token, tag: number of the column, from 0; from the last one back, if negative.
        delimiter: between columns; by default a tab if the first row has one, else any spaces and tabs.

    Example:
        >>> lines = ["-DOCSTART- O", "", "Ada B-PER", "Lovelace I-PER", "wrote O"]
        >>> [record.fields for record in read_columns(lines, "people.txt")]
        [{'tokens': ['Ada', 'Lovelace', 'wrote'], 'tags': ['B-PER', 'I-PER', 'O']}]
    """
    width, first, separator = 0, 0, delimiter
    for block in blocks(lines):
        if separator is None and not width:
            separator = "\t" if "\t" in block[0][1] else None
        rows = [(number, _cells(line, separator)) for number, line in block]
        rows = [(number, cells) for number, cells in rows if cells[0] != DOCUMENT]
        if not rows:
            continue
        if not width:
            first, width = rows[0][0], len(rows[0][1])
        place = f"{name}, line {rows[0][0]}"
        if error := _wrong_row(rows, name, first, width, token):
            yield Record(place, {}, error)
            continue
        fields = {"tokens": [cells[token] for _, cells in rows]}
        if -width <= tag < width and tag % width != token % width:
            fields["tags"] = [cells[tag] for _, cells in rows]
        yield Record(place, fields)


def _cells(line: str, delimiter: str | None) -> list[str]:
    return SPACES.split(line.strip(" \t")) if delimiter is None else line.split(delimiter)


def _wrong_row(rows: list[tuple[int, list[str]]], name: str, first: int, width: int, token: int) -> str:
    """Return what is wrong with the first row that cannot be read, an empty text if there is none."""
    for number, cells in rows:
        if len(cells) != width:
            return f"{name}, line {number}: {len(cells)} columns, line {first} has {width}"
        if not -width <= token < width:
            return f"{name}, line {number}: {width} columns, the token would be in column {token}"
        if not cells[token].strip():
            return f"{name}, line {number}: the token is empty"
    return ""
