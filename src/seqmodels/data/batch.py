"""What data modules yield, and the words for what it is."""

from typing import Literal, NamedTuple

from torch import Tensor

TargetKind = Literal["classification", "multilabel", "regression", "forecasting", "language_modeling"]
"""What the targets of a data set are; a task names the kind it needs."""


class SequenceBatch(NamedTuple):
    """Right-padded sequences with one target each, or with one for each step."""

    inputs: Tensor  # (batch, time, input), or tokens (batch, time)
    lengths: Tensor  # (batch,)  real steps of each row, at least 1
    targets: Tensor  # (batch,) classes, (batch, output) 0/1 labels or values; one for each step: (batch, time, ...)

    @property
    def stepwise(self) -> bool:
        """Whether every step has a target of its own."""
        return self.targets.dim() == (3 if self.targets.is_floating_point() else 2)
