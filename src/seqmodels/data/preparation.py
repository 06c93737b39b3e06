"""From raw data to tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqmodels.data.raw import Splits


class Prepared(NamedTuple):
    """Data as tensors, and what a model needs to know about them."""

    splits: Splits[Any]  # each a Split
    sizes: dict[str, Any]
    """Passed by keyword to every part of a model that takes one: ``input_size``, or ``vocab_size`` where inputs are
    tokens; ``output_size``; ``time`` where all sequences are that long."""
    preprocessing: dict[str, Any]
    """How a record of a new file becomes an input: a node that rebuilds a ``Preprocessing``."""
    class_names: tuple[str, ...] = ()
    """Names of the classes by index; empty where targets are no classes."""
    counts: Mapping[str, Any] = {}
    """Statistics of each split, such as truncated or dropped texts."""


@dataclass(kw_only=True)
class Preparation(ABC):
    """How raw data become tensors. Everything fitted is fitted on the training split alone."""

    @abstractmethod
    def prepare(self, splits: Splits[Any]) -> Prepared:
        """Return the tensors of raw data.

        Raises:
            ValueError: the data cannot be prepared like this; the message says which part.
        """
