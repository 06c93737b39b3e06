"""From raw data to tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqmodels.data.raw import Splits


class Prepared(NamedTuple):
    """Data as tensors, with the metadata a model needs."""

    splits: Splits[Any]  # each a Split
    sizes: dict[str, Any]
    """Keywords for model parts: ``input_size``, or ``vocab_size`` for tokens; ``output_size``; ``time`` if constant."""
    preprocessing: dict[str, Any]
    """Node that rebuilds the ``Preprocessing`` for records of new files."""
    class_names: tuple[str, ...] = ()
    """Class names by index; empty if targets are not classes."""
    counts: Mapping[str, Any] = {}
    """Statistics per split, such as truncated or dropped texts."""


@dataclass(kw_only=True)
class Preparation(ABC):
    """Turns raw data into tensors. Anything fitted is fitted on the training split only."""

    @abstractmethod
    def prepare(self, splits: Splits[Any]) -> Prepared:
        """Turn raw data into tensors.

        Raises:
            ValueError: the data cannot be prepared; the message names the part.
        """
