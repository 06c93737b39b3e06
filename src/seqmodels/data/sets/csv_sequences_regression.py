"""Sequences and target numbers from your own CSV or TSV table."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmodels.data.formats.delimited import listed
from seqmodels.data.labelled.sequence_source import Column, SequenceTables


@dataclass(kw_only=True)
class CSVSequencesRegressionData(SequenceTables):
    """A table of sequences with one or several target numbers each; options as for all tables of sequences, plus one.

    Targets are standardised for training; predictions and metrics are in their units.

    Args:
        target: column of the target number, the same in all rows of a sequence; or several.
    """

    name = "csv_sequences_regression"
    target_kind = "regression"

    target: Column | Sequence[Column] = "target"

    @property
    def targets(self) -> list[str]:
        return list(map(str, listed(self.target)))
