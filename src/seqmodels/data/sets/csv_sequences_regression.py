"""Sequences and target numbers from your own CSV or TSV table."""

from collections import Counter
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.targets:
            raise ValueError("data.target must name a column, or several, got []")
        for column, count in Counter(self.targets).items():
            if count > 1:
                raise ValueError(f"data.target names the column {column!r} twice")

    @property
    def targets(self) -> tuple[str, ...]:
        return names_of(self.target)
