"""Labelled texts from a table."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.files import whole_content
from seqmodels.data.formats.table import Column, Columns, CSVDialect, names_of
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.labelled_table import parse_table
from seqmodels.data.text.sources import OwnTexts


@dataclass(kw_only=True)
class TextTable(OwnTexts):
    """Texts and labels from a CSV or TSV table, plain or ``.gz``.

    Args:
        text: text column, by name, or by number from 0 without a header; several columns are joined with a space.
        label: column of the label or labels.
        header: whether the first line has the column names.
        delimiter: column delimiter; if None, a tab for ``.tsv`` files, else recognised among comma, semicolon, tab and
            ``|``.
        quotes: whether fields in double quotes may contain delimiters, line breaks and doubled quotes.
    """

    text: Columns = "text"
    label: Column = "label"
    header: bool = True
    delimiter: str | None = None
    quotes: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        texts = names_of(self.text)
        if not texts:
            raise ValueError("data.text must name a column, or several, got []")
        if str(self.label) in texts:
            raise ValueError(f"data.text={self.text}: {self.label!r} is data.label too, and cannot be read as text")
        self.dialect = CSVDialect(self.delimiter, self.header, self.quotes, self.encoding).checked()

    def table(self, path: Path, separator: str | None) -> LabelledTexts:
        """Read the table at a path; each row has one label if ``separator`` is None."""
        return parse_table(whole_content(path), str(path), self.text, self.label, self.dialect, separator=separator)
