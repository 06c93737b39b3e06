"""What every data module yields, and the words for what it yields."""

from typing import Literal, NamedTuple

from torch import Tensor

TargetKind = Literal["classification", "regression"]
"""What the targets of a data set are; a task names the kind it needs."""


class SequenceBatch(NamedTuple):
    """Right-padded sequences with one target each."""

    inputs: Tensor  # (batch, time, input)
    lengths: Tensor  # (batch,)  real steps of each row, at least 1
    targets: Tensor  # (batch,) class indices, or (batch, output) values
