"""Pairs of texts from your own table or JSON lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqmodels.data.batch import TargetKind
from seqmodels.data.formats.table import Column, CSVDialect
from seqmodels.data.own_files import OwnFiles
from seqmodels.data.text.pairs.preparation import PairPreparation
from seqmodels.data.text.pairs.texts import PairedTexts, TargetUnit, read_pairs


@dataclass(kw_only=True)
class TextPairsData(OwnFiles):
    """Sentences and translations, documents and summaries: two columns of a table, or two fields of JSON lines.

    Splits as for all own files; rows with the same source are drawn together, and are one row with several targets in
    validation and test. A field of JSON lines may hold a list of targets.

    Args:
        source, target: columns, by name, or by number from 0 without a header.
        unit: what errors in the output are counted in, ``words``, ``phonemes`` or ``characters``.
        header: whether the first line has the column names.
        delimiter: column delimiter; if None, a tab for ``.tsv`` files, else recognised among comma, semicolon, tab and
            ``|``.
        quotes: whether fields in double quotes may contain delimiters, line breaks and doubled quotes.
        encoding: encoding of the files.

    Raises:
        ValueError: an option is outside its range, or ``source`` and ``target`` are the same.
    """

    name = "text_pairs"
    target_kind: ClassVar[TargetKind] = "seq2seq"
    preparation = PairPreparation

    source: Column = "source"
    target: Column = "target"
    unit: TargetUnit = "words"
    header: bool = True
    delimiter: str | None = None
    quotes: bool = True
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        if str(self.source) == str(self.target):
            raise ValueError(f"data.source and data.target must be different columns, got {self.source!r} for both")
        self.dialect = CSVDialect(self.delimiter, self.header, self.quotes, self.encoding).checked()

    def read(self, paths: Sequence[Path]) -> list[PairedTexts]:
        return [read_pairs(path, self.source, self.target, self.dialect)._replace(unit=self.unit) for path in paths]
