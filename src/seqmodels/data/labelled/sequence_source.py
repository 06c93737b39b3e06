"""Base class for sources of sequences in your own tables."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from seqmodels.data.formats.files import whole_content
from seqmodels.data.formats.records import Record, read_records
from seqmodels.data.formats.suffixes import SUFFIXES, suffix_of
from seqmodels.data.formats.table import Column, Columns, CSVDialect, Table, names_of
from seqmodels.data.labelled.sequence_preparation import SequencePreparation
from seqmodels.data.labelled.sequence_table import SequenceLayout, SequenceRecords, layout_of, training_sequences
from seqmodels.data.own_files import OwnFiles

log = logging.getLogger("seqmodels")


class _Rows(NamedTuple):
    """The rows of a file, and how it was read."""

    records: list[Record]
    dialect: CSVDialect


def _rows(path: Path, dialect: CSVDialect) -> _Rows:
    content, name = whole_content(path), str(path)
    kind = SUFFIXES.get(suffix_of(name))
    if kind in ("jsonl", "parquet"):  # their values may be lists
        records = list(read_records(BytesIO(content), name, kind))
        if not records:
            raise ValueError(f"{name} has no rows")
        return _Rows(records, dialect)
    table = Table.parse(content, name, dialect)
    records = [Record(place, dict(zip(table.columns, cells, strict=True))) for place, cells in table.rows]
    return _Rows(records, table.dialect)


@dataclass(kw_only=True)
class SequenceTables(OwnFiles):
    """Sequences with one target each in a table, plain or ``.gz``: one per row, or one per value of an id column.

    Without a header, columns are called by their numbers from 0. In JSON lines and Parquet, a column may have lists,
    each the steps of a channel of the row.

    Args:
        id: column that tells the sequence of a row, of which there is one per step; if None, each row is a sequence,
            and its columns are the steps.
        time: column that orders the rows of a sequence: numbers, or dates; if None, they are in order.
        columns: columns of the steps; by default, all that have no other use.
        channels: if each row is a sequence of several channels, the prefixes of their columns: ``[x_, y_]`` for
            ``x_1, x_2, ..., y_1, y_2, ...``.
        exclude: columns to leave out.
        header: whether the first line has the column names.
        delimiter: column delimiter; if None, recognised.
        quotes: whether fields in double quotes may contain delimiters, line breaks and doubled quotes.
        encoding: encoding of the files.
        decimal: decimal separator of numbers, ``.`` or ``,``.
    """

    preparation = SequencePreparation

    id: Column | None = None
    time: Column | None = None
    columns: Sequence[Column] | None = None
    channels: Sequence[str] | None = None
    exclude: Columns = ()
    header: bool = True
    delimiter: str | None = None
    quotes: bool = True
    encoding: str = "utf-8"
    decimal: str = "."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time is not None and self.id is None:
            raise ValueError(f"time={self.time} orders the rows of a sequence, which id tells: give id too")
        if self.channels is not None and self.id is not None:
            raise ValueError(f"channels={list(self.channels)} are for tables whose rows are sequences, without id")

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The columns of the targets."""

    def read(self, paths: Sequence[Path]) -> list[SequenceRecords]:
        dialect = CSVDialect(self.delimiter, self.header, self.quotes, self.encoding, self.decimal)
        files = [_rows(path, dialect) for path in paths]
        layout = self._layout(files[0], str(paths[0]))
        wide = len(layout.columns[0])
        steps = (
            "one row per step" if self.id is not None else f"{wide} columns are steps" if wide > 1 else "lists of steps"
        )
        log.info("%s: %s; channels: %s; target: %s", paths[0], steps, ", ".join(layout.names), ", ".join(layout.target))
        return [self._records(rows, layout) for rows in files]

    def _layout(self, rows: _Rows, name: str) -> SequenceLayout:
        first = rows.records[0].fields
        return layout_of(
            list(first),
            self.targets,
            id=None if self.id is None else str(self.id),
            time=None if self.time is None else str(self.time),
            features=None if self.columns is None else names_of(self.columns),
            channels=self.channels,
            exclude=names_of(self.exclude),
            lists=[column for column, value in first.items() if isinstance(value, list)],
            place=name,
        )

    def _records(self, rows: _Rows, layout: SequenceLayout) -> SequenceRecords:
        records = rows.records if layout.id is None else training_sequences(rows.records, layout)
        return SequenceRecords(records, layout, rows.dialect, self.target_kind == "classification")
