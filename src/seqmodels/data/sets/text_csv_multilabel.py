"""Texts with any number of labels from your own CSV or TSV table."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.table_source import TextTable


@dataclass(kw_only=True)
class TextCSVMultilabelData(TextTable):
    """A table of texts with any number of labels each, in one column; options as for all tables, plus one.

    Args:
        separator: separates the labels of a row.
    """

    name = "text_csv_multilabel"
    target_kind = "multilabel"

    label: str | int = "labels"
    separator: str = ";"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.separator:
            raise ValueError("separator must be at least one character, got none")

    def texts(self, path: Path) -> LabelledTexts:
        return self.table(path, separator=self.separator)
