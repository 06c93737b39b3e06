"""Base class for sources of sequences in your own tables."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.delimited import listed
from seqmodels.data.formats.files import whole_content
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.table import CSVDialect, Table
from seqmodels.data.labelled.sequence_preparation import SequencePreparation
from seqmodels.data.labelled.sequence_table import SequenceLayout, SequenceRecords, grouped, layout_of
from seqmodels.data.own_files import OwnFiles

log = logging.getLogger("seqmodels")
Column = str | int


@dataclass(kw_only=True)
class SequenceTables(OwnFiles):
    """Sequences with one target each in a table, plain or ``.gz``: one per row, or one per value of an id column.

    Without a header, columns are called by their numbers from 0.

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
    exclude: Column | Sequence[Column] = ()
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
    def targets(self) -> list[str]:
        """The columns of the targets."""

    def read(self, paths: Sequence[Path]) -> list[SequenceRecords]:
        dialect = CSVDialect(self.delimiter, self.header, self.quotes, self.encoding, self.decimal)
        tables = [Table.parse(whole_content(path), str(path), dialect) for path in paths]
        layout = self._layout(tables[0])
        shown = ", ".join(layout.names)
        steps = "one row per step" if self.id is not None else f"{len(layout.columns[0])} columns are steps"
        log.info("%s: %s; channels: %s; target: %s", paths[0], steps, shown, ", ".join(layout.target))
        return [self._records(table, layout) for table in tables]

    def _layout(self, table: Table) -> SequenceLayout:
        return layout_of(
            table.columns,
            self.targets,
            id=None if self.id is None else str(self.id),
            time=None if self.time is None else str(self.time),
            features=None if self.columns is None else list(map(str, self.columns)),
            channels=self.channels,
            exclude=list(map(str, listed(self.exclude))),
            place=table.name,
        )

    def _records(self, table: Table, layout: SequenceLayout) -> SequenceRecords:
        rows = [Record(place, dict(zip(table.columns, cells, strict=True))) for place, cells in table.rows]
        records = rows if layout.id is None else list(grouped(rows, layout))
        return SequenceRecords(records, layout, table.dialect, self.target_kind == "classification")
