"""From a record of a user's file to what a network reads, as it was fitted on training data."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor


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
