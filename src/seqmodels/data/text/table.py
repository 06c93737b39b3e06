"""Labelled texts in a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.delimited import CSVDialect, read_table
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.sources import OwnTexts


@dataclass(kw_only=True)
class TextTable(OwnTexts):
    """The texts and labels of a table, CSV or TSV, plain or ``.gz``.

    Args:
        text: the column of the text, by its name, or by its number from 0 where there is no header; several are joined
            by a space.
        label: the column of the label or labels.
        header: whether the first line has the names of the columns.
        delimiter: between columns; where None a tab if the name ends in ``.tsv``, else a comma.
        quotes: whether a field in double quotes may hold delimiters, line ends and doubled quotes.
    """

    text: str | int | Sequence[str | int] = "text"
    label: str | int = "label"
    header: bool = True
    delimiter: str | None = None
    quotes: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be a single character, got {self.delimiter!r}")

    def table(self, path: Path, separator: str | None) -> LabelledTexts:
        """Read the table at a path; each row has one label where ``separator`` is None."""
        dialect = CSVDialect(delimiter=self.delimiter, header=self.header, quotes=self.quotes, encoding=self.encoding)
        return read_table(path, self.text, self.label, dialect, separator=separator)
