"""A set of sequences in memory, read a whole batch at a time."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from seqmodels.data.batch import SequenceBatch, TargetKind


class SequenceDataset(Dataset[SequenceBatch]):
    """Right-padded sequences in one tensor; a batch is one indexing operation, not a loop over its rows.

    Args:
        inputs: ``(rows, time, input)``.
        targets: ``(rows,)`` class indices, or ``(rows, output)`` values.
        lengths: ``(rows,)`` real steps of each row; all of them where not given.

    Raises:
        ValueError: shapes do not fit, or a length is outside 1 to time, by its row.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> None:
        if inputs.dim() != 3:
            raise ValueError(f"inputs must have shape (rows, time, input), got {tuple(inputs.shape)}")
        rows, time, _ = inputs.shape
        self.inputs = inputs
        self.targets = targets
        self.lengths = torch.full((rows,), time) if lengths is None else lengths
        self.ragged = lengths is not None and bool((lengths != time).any())
        for name, tensor in (("targets", self.targets), ("lengths", self.lengths)):
            if tensor.dim() == 0 or len(tensor) != rows:
                raise ValueError(f"{name} must have one entry for each of {rows} rows, got {tuple(tensor.shape)}")
        wrong = ((self.lengths < 1) | (self.lengths > time)).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(f"row {row}: a length must be 1 to {time}, got {int(self.lengths[row])}")

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> SequenceBatch:
        """Return one row without padding and without a batch dimension."""
        length = self.lengths[row]
        return SequenceBatch(self.inputs[row, :length], length, self.targets[row])

    def __getitems__(self, rows: list[int]) -> SequenceBatch:
        """Return a batch, padded to its longest row; ``DataLoader`` calls this in place of a row at a time."""
        index = torch.tensor(rows)
        lengths = self.lengths[index]
        inputs = self.inputs[:, : int(lengths.max())] if self.ragged else self.inputs
        return SequenceBatch(inputs[index], lengths, self.targets[index])


def check_split(name: str, split: SequenceDataset, kind: TargetKind, output_size: int) -> None:
    """Raise ``ValueError`` naming the split, the row and the value where its targets are not what ``kind`` says.

    Class targets are int64 ``(rows,)`` in 0 to ``output_size - 1``; regression targets are finite floats
    ``(rows, output_size)``; inputs are finite.
    """
    if len(split) == 0:
        raise ValueError(f"the {name} split is empty")
    targets = split.targets
    if kind == "classification":
        if targets.dtype != torch.int64 or targets.dim() != 1:
            raise ValueError(
                f"the {name} split: classes must be int64 (rows,), got {targets.dtype} {tuple(targets.shape)}"
            )
        wrong = (targets < 0) | (targets >= output_size)
        rule = f"a class must be 0 to {output_size - 1}"
    else:
        if not targets.is_floating_point() or targets.shape[1:] != (output_size,):
            raise ValueError(
                f"the {name} split: values must be floats (rows, {output_size}), "
                f"got {targets.dtype} {tuple(targets.shape)}"
            )
        wrong = ~targets.isfinite().all(1)
        rule = "a target must be finite"
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"the {name} split, row {row}: {rule}, got {targets[row].tolist()}")
    if split.inputs.is_floating_point() and not bool(split.inputs.sum().isfinite()):  # a sum may overflow: look closer
        wrong = ~split.inputs.isfinite().flatten(1).all(1)
        if wrong.any():
            raise ValueError(f"the {name} split, row {int(wrong.nonzero()[0])}: an input is not finite")
