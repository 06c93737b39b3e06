"""Padding: the single definition of the values past the end of a sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PADDING = 0


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Right-pad sequences ``(time_i, ...)``; return ``(batch, time, ...)`` and lengths ``(batch,)``.

    Raises:
        ValueError: no sequences, or one is empty or differs from the first in its other sizes or dtype.
    """
    if not sequences:
        raise ValueError("there must be at least one sequence to pad, got none")
    first = sequences[0]
    for row, sequence in enumerate(sequences):
        if sequence.dim() == 0 or len(sequence) == 0:
            raise ValueError(f"row {row}: a sequence must have at least one step, got shape {tuple(sequence.shape)}")
        if sequence.shape[1:] != first.shape[1:] or sequence.dtype != first.dtype:
            raise ValueError(
                f"row {row}: its steps are {tuple(sequence.shape[1:])} {sequence.dtype}, "
                f"those of row 0 are {tuple(first.shape[1:])} {first.dtype}"
            )
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pad_sequence(list(sequences), batch_first=True, padding_value=PADDING), lengths
