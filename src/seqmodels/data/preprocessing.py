"""From the records of a user's file to what a network reads, as it was fitted on training data."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import pad
from seqmodels.data.formats.records import Record


class Preprocessing(ABC):
    """How a record becomes a sequence.

    A data module states it as a plain node, ``{"_target_": ..., ...}`` with values that JSON can hold; it is kept in
    checkpoints and model folders, so that new data are treated as the training data were.
    """

    @abstractmethod
    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the sequence of a record, ``(time, input)`` floats or ``(time,)`` tokens.

        ``record`` has the columns of a row of CSV as texts, the fields of a line of JSON, or ``{"text": line}``.

        Raises:
            ValueError: a field is missing or cannot be read; the message names it and its value.
        """

    def examples(self, records: Iterable[Record]) -> Iterator[Any]:
        """Yield what is predicted for, in order: here every record by itself, as it comes.

        Raises:
            ValueError: as :meth:`encode`, with the place of the record.
        """
        for place, fields in records:
            try:
                yield self.encode(fields)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error

    def collate(self, examples: Sequence[Any]) -> Any:
        """Return the batch of some examples; its targets are unknown."""
        inputs, lengths = pad(examples)
        return SequenceBatch(inputs, lengths, torch.full((len(lengths),), -1))
