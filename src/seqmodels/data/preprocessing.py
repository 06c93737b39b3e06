"""Preprocessing of user records into network inputs, as fitted on the training data."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import pad
from seqmodels.data.formats.records import Record


class Preprocessing(ABC):
    """Turns a record into a sequence.

    A data module describes it by a plain node, ``{"_target_": ..., ...}`` with JSON values, which is saved in
    checkpoints and model folders, so that new data are processed like the training data.
    """

    @abstractmethod
    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the sequence of a record, ``(time, input)`` floats or ``(time,)`` tokens.

        ``record`` holds the columns of a CSV row as strings, the fields of a JSON line, or ``{"text": line}``.

        Raises:
            ValueError: a field is missing or invalid; the message names it and its value.
        """

    def examples(self, records: Iterable[Record]) -> Iterator[Any]:
        """Yield the examples to predict, in order; by default, one per record, lazily.

        Raises:
            ValueError: as :meth:`encode`, with the location of the record.
        """
        for place, fields in records:
            try:
                yield self.encode(fields)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error

    def collate(self, examples: Sequence[Any]) -> Any:
        """Collate examples into a batch with unknown targets."""
        inputs, lengths = pad(examples)
        return SequenceBatch(inputs, lengths, torch.full((len(lengths),), -1))
