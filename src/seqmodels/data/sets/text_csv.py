"""Texts and classes from your own CSV or TSV table."""

from pathlib import Path

from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.table_source import TextTable


class TextCSVData(TextTable):
    """A table of texts with one class each; options as for all tables."""

    name = "text_csv"

    def texts(self, path: Path) -> LabelledTexts:
        return self.table(path, separator=None)
