"""The batches that data modules yield, and the names of target kinds."""

from typing import Literal, NamedTuple

from torch import Tensor

TargetKind = Literal[
    "classification", "multilabel", "regression", "forecasting", "language_modeling", "tagging", "seq2seq", "ctc"
]
"""Kind of targets in a data set; each task declares the kind it needs."""


class SequenceBatch(NamedTuple):
    """Right-padded sequences with one target per sequence or one per step."""

    inputs: Tensor  # (batch, time, input), or tokens (batch, time)
    lengths: Tensor  # (batch,)  number of real steps per row, at least 1
    targets: Tensor  # (batch,) classes, (batch, output) 0/1 labels or values; if stepwise: (batch, time, ...)

    @property
    def stepwise(self) -> bool:
        """Whether there is a target for every step."""
        return self.targets.dim() == (3 if self.targets.is_floating_point() else 2)


class Spoken(NamedTuple):
    """What a row of a batch was made from."""

    place: str  # name of the recording
    text: str  # what is said in it
    row: int = 0  # of its split


class TranscriptBatch(NamedTuple):
    """Right-padded sequences with a shorter sequence of tokens each, whose places among the steps are not known."""

    inputs: Tensor  # (batch, time, input)
    lengths: Tensor  # (batch,)  number of real steps per row, at least 1
    targets: Tensor  # (batch, target time) int64 tokens; 0, which no target is, in the padding
    target_lengths: Tensor  # (batch,)  number of tokens per row
    spoken: list[Spoken] = []  # noqa: RUF012  (never changed) one per row; empty in training

    @property
    def stepwise(self) -> bool:
        """Whether there is a target for every step: there is none."""
        return False

    @property
    def steps_needed(self) -> Tensor:
        """Fewest steps that each target can be aligned with, ``(batch,)``: its tokens, and a blank between equal ones.

        Example:
            >>> import torch
            >>> targets = torch.tensor([[5, 5, 6, 0]])
            >>> TranscriptBatch(torch.zeros(1, 9, 2), torch.tensor([9]), targets, torch.tensor([3])).steps_needed
            tensor([4])
        """
        repeats = (self.targets[:, 1:] == self.targets[:, :-1]) & (self.targets[:, 1:] != 0)
        return self.target_lengths + repeats.sum(1)
