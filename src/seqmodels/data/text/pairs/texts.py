"""Pairs of texts as read, before any tokenisation."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.formats.files import opened, whole_content
from seqmodels.data.formats.records import read_records, readable
from seqmodels.data.formats.suffixes import SUFFIXES, suffix_of
from seqmodels.data.formats.table import Column, CSVDialect, Table
from seqmodels.data.splitting import split_stratified

TargetUnit = Literal["words", "phonemes", "characters"]
"""What errors in a target are counted in: its words, its phonemes (separated by spaces), or its characters."""


class PairedTexts(NamedTuple):
    """Texts to read and the texts to write for each, with their locations for error messages.

    Example:
        >>> pairs = PairedTexts(["Go.", "Run!", "Go."], [("Va !",), ("Cours !",), ("Allez !",)], ["1", "2", "3"])
        >>> pairs.grouped().targets
        [('Va !', 'Allez !'), ('Cours !',)]
    """

    sources: list[str]
    targets: list[tuple[str, ...]]  # per source, the outputs that are right: at least one
    places: list[str]
    columns: tuple[str, str] = ("source", "target")  # the fields of a record of a new file
    unit: TargetUnit = "words"
    dialect: CSVDialect | None = None  # how the table was read, settled; None if the pairs are not from a table

    def take(self, rows: Sequence[int] | Tensor) -> "PairedTexts":
        """Select rows."""
        index = rows.tolist() if isinstance(rows, Tensor) else rows
        return self._replace(
            sources=[self.sources[row] for row in index],
            targets=[self.targets[row] for row in index],
            places=[self.places[row] for row in index],
        )

    def split(self, shares: Sequence[float], seed: int) -> list["PairedTexts"]:
        """Split at random; rows with the same source are merged first, so that a source is in one part only.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        rows = self.grouped()
        return [rows.take(part) for part in split_stratified(torch.zeros(len(rows.sources)), shares, seed)]

    def grouped(self) -> "PairedTexts":
        """Return one row for each source, with all its targets, in the order of first occurrence."""
        targets: dict[str, dict[str, None]] = {}
        places: dict[str, str] = {}
        for source, outputs, place in zip(self.sources, self.targets, self.places, strict=True):
            targets.setdefault(source, {}).update(dict.fromkeys(outputs))
            places.setdefault(source, place)
        return self._replace(
            sources=list(targets),
            targets=[tuple(outputs) for outputs in targets.values()],
            places=list(places.values()),
        )

    def single(self) -> "PairedTexts":
        """Return a row for each target of each source."""
        rows = [row for row, outputs in enumerate(self.targets) for _ in outputs]
        return self.take(rows)._replace(targets=[(output,) for outputs in self.targets for output in outputs])


def read_pairs(path: Path, source: Column, target: Column, dialect: CSVDialect) -> PairedTexts:
    """Read pairs from two columns of a table, or from two fields of JSON lines, plain or ``.gz``.

    A field of JSON lines may hold a list of targets.

    Raises:
        ValueError: the file cannot be read, or a column or field is missing or no text; the message names the line.
    """
    if SUFFIXES.get(suffix_of(path.name)) != "jsonl":
        table = Table.parse(whole_content(path), str(path), dialect)
        read, written = table.index(source), table.index(target)
        return PairedTexts(
            [row.cells[read] for row in table.rows],
            [(row.cells[written],) for row in table.rows],
            [row.place for row in table.rows],
            (str(source), str(target)),
            dialect=table.dialect,
        )
    pairs = PairedTexts([], [], [], (str(source), str(target)), dialect=dialect)
    with opened(str(path)) as stream:
        for place, fields, _ in readable(read_records(stream, str(path), "jsonl", dialect)):
            try:
                pairs.sources.append(text_of(fields, str(source)))
                pairs.targets.append(targets_of(fields, str(target)))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
            pairs.places.append(place)
    if not pairs.sources:
        raise ValueError(f"{path} is empty")
    return pairs


def text_of(record: Any, field: str) -> str:
    """Return the text under a field of a record.

    Raises:
        ValueError: there is none.
    """
    text = record.get(field)
    if not isinstance(text, str):
        got = f"got {text!r}" if field in record else f"the record has {', '.join(map(repr, record)) or 'nothing'}"
        raise ValueError(f"{field!r} must be a text, {got}")
    return text


def targets_of(record: Any, field: str) -> tuple[str, ...]:
    """Return the targets under a field of a record, a text or a list of them.

    Raises:
        ValueError: there are none.
    """
    value = record.get(field)
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return tuple(value)
    return (text_of(record, field),)


def lines_as_pairs(sources: Iterable[str], targets: Iterable[str], name: str) -> PairedTexts:
    """Return the pairs of two parallel files, whose lines belong together; ``name`` is that of the first.

    Raises:
        ValueError: one of them has more lines.
    """
    first, second = [line.rstrip("\r\n") for line in sources], [line.rstrip("\r\n") for line in targets]
    if len(first) != len(second):
        raise ValueError(f"{name}: it has {len(first)} lines, the file of targets has {len(second)}")
    return PairedTexts(first, [(line,) for line in second], list(_numbered(name, len(first))))


def _numbered(name: str, lines: int) -> Iterator[str]:
    return (f"{name}, line {number}" for number in range(1, lines + 1))
