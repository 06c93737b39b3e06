"""From raw data to what a network reads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqmodels.data.raw import Splits


class Prepared(NamedTuple):
    """Data as tensors, and what a model must know of them."""

    splits: Splits[Any]  # each a Split
    sizes: dict[str, Any]
    """Each is passed on by keyword to what takes it: ``input_size``, or ``vocab_size`` where inputs are tokens;
    ``output_size``; ``time`` where all sequences are that long."""
    preprocessing: dict[str, Any]
    """How a record of a new file becomes input: a node that rebuilds a ``Preprocessing``."""
    class_names: tuple[str, ...] = ()
    """Names of the classes by index; empty where targets are no classes."""
    counts: Mapping[str, Any] = {}
    """What became of the rows of each split, where some were changed or left out."""


@dataclass(kw_only=True)
class Preparation(ABC):
    """How raw data become tensors. What is fitted is fitted on the training part alone."""

    @abstractmethod
    def prepare(self, splits: Splits[Any]) -> Prepared:
        """Return the tensors of raw data.

        Raises:
            ValueError: they cannot be prepared this way; the message says where.
        """
