"""Sequences and classes from your own CSV or TSV table."""

from dataclasses import dataclass

from seqmodels.data.formats.table import Column
from seqmodels.data.labelled.sequence_source import SequenceTables


@dataclass(kw_only=True)
class CSVSequencesData(SequenceTables):
    """A table of sequences with one class each; options as for all tables of sequences, plus one.

    Args:
        label: column of the class, the same in all rows of a sequence.
    """

    name = "csv_sequences"
    target_kind = "classification"

    label: Column = "label"

    @property
    def targets(self) -> tuple[str, ...]:
        return (str(self.label),)
