"""Sequences and target numbers from your own CSV or TSV table."""

from dataclasses import dataclass

from seqmodels.data.formats.table import Columns, names_of
from seqmodels.data.labelled.sequence_source import SequenceTables


@dataclass(kw_only=True)
class CSVSequencesRegressionData(SequenceTables):
    """A table of sequences with one or several target numbers each; options as for all tables of sequences, plus one.

    Targets are standardised for training; predictions and metrics are in their units.

    Args:
        target: column of the target number, the same in all rows of a sequence; or several.
    """

    name = "csv_sequences_regression"
    target_kind = "regression"

    target: Columns = "target"

    @property
    def targets(self) -> tuple[str, ...]:
        return names_of(self.target)
