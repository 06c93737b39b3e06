"""The base class of predictors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Record = dict[str, Any]


class Predictor(ABC):
    """A trained network with what turns its outputs into predictions; a dataclass whose fields a task or its data name.

    :class:`~seqmodels.tasks.Task` uses it in training and evaluation, :func:`seqmodels.load` without the task.
    """

    model: nn.Module

    @abstractmethod
    def records(self, batch: Any, class_names: Sequence[str]) -> list[list[Record]]:
        """Return for each row of a batch its predictions as plain data, each a line of a prediction file.

        Most predict one record per row; a forecast has one per series and step. Targets of the batch are ignored.
        ``class_names`` are those of the data set, empty if it has none.
        """

    @abstractmethod
    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> Any:
        """Return the records of one row as one value, and for a forecast the group columns in ``fields``."""

    def of_step(self, output: Tensor) -> Tensor:
        """Return what an output ``(batch, output)`` of the network says after a step."""
        return output


def on_device(batch: Any, device: torch.device | str) -> Any:
    """Return a batch on a device: a tensor, what has a method ``to``, or a NamedTuple or list of such; else itself.

    Example:
        >>> from seqmodels.data import SequenceBatch
        >>> batch = SequenceBatch(torch.zeros(1, 2, 3), torch.tensor([2]), torch.tensor([0]))
        >>> on_device(batch, "meta").inputs.device.type
        'meta'
    """
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(on_device(part, device) for part in batch))
    if isinstance(batch, list):
        return [on_device(part, device) for part in batch]
    return batch
