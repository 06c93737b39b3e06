"""Texts and numbers to predict from your own CSV or TSV table."""

from pathlib import Path

from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.table_source import TextTable


class TextCSVRegressionData(TextTable):
    """A table of texts with one number each, such as a rating; options as for all tables.

    The numbers are standardised for training; predictions and metrics are in their unit.
    """

    name = "text_csv_regression"
    target_kind = "regression"

    def texts(self, path: Path) -> LabelledTexts:
        return self.table(path, separator=None)._replace(numbers=True)
