"""In-memory sequence data sets, read one batch at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.data.checks import check_split
from seqmodels.data.collate import pad
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class Sequences(Rows[SequenceBatch]):
    """Sequences with one target each or one per step."""

    targets: Tensor  # (rows, ...), or (all real steps, ...) if stepwise
    values: Tensor  # all inputs, rows first or all real steps first, for validation
    stepwise: bool = False  # one target per step
    packed: bool = False  # values are all real steps, not rows

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:
        check_split(name, self, kind, sizes)
        if name == "train":
            loading.check_rows(len(self))

    def row_of(self, index: int, *, step: bool) -> int:
        """Return the row of an index into ``targets`` or ``values``; with ``step``, the index counts real steps."""
        if not step:
            return index
        return int(torch.searchsorted(self.lengths.cumsum(0), torch.tensor(index), right=True))


class SequenceDataset(Sequences):
    """Right-padded sequences in one tensor; a batch is one indexing operation, not a loop over its rows.

    Args:
        inputs: ``(rows, time, input)``, or tokens ``(rows, time)``.
        targets: ``(rows,)`` class indices, or ``(rows, output)`` labels or values.
        lengths: ``(rows,)`` number of real steps per row; all by default.

    Raises:
        ValueError: shapes do not match, or a length is outside 1 to time; with its row.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> None:
        dimensions = 3 if inputs.is_floating_point() else 2
        if inputs.dim() != dimensions:
            shape = "(rows, time, input)" if dimensions == 3 else "(rows, time) as tokens"
            raise ValueError(f"inputs must have shape {shape}, got {tuple(inputs.shape)}")
        rows, time = inputs.shape[:2]
        self.inputs = self.values = inputs
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

    def joined(self, others: Sequence["SequenceDataset"]) -> "SequenceDataset":
        parts = [self, *others]
        rows = [row[:length] for part in parts for row, length in zip(part.inputs, part.lengths.tolist(), strict=True)]
        inputs, lengths = pad(rows)
        return SequenceDataset(inputs, torch.cat([part.targets for part in parts]), lengths)

    def __getitems__(self, rows: list[int]) -> SequenceBatch:
        index = torch.tensor(rows)
        lengths = self.lengths[index]
        inputs = self.inputs[:, : int(lengths.max())] if self.ragged else self.inputs
        return SequenceBatch(inputs[index], lengths, self.targets[index])


class RaggedDataset(Sequences):
    """Sequences of any lengths, concatenated in one tensor; padding is per batch.

    Args:
        sequences: per row ``(time_i, input)``, or tokens ``(time_i,)``.
        targets: ``(rows, ...)``; or, with one per step, a list of ``(time_i, ...)``.

    Raises:
        ValueError: a sequence is empty or differs from the first beyond its length, or targets do not match; by row.
    """

    packed = True

    def __init__(self, sequences: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> None:
        self.stepwise = not isinstance(targets, Tensor)
        if len(targets) != len(sequences):
            raise ValueError(f"targets must have one entry for each of {len(sequences)} rows, got {len(targets)}")
        self.lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.long)
        for row, (sequence, target) in enumerate(zip(sequences, targets, strict=True)):
            if len(sequence) == 0:
                raise ValueError(f"row {row}: a sequence must have at least one step")
            if sequence.shape[1:] != sequences[0].shape[1:] or sequence.dtype != sequences[0].dtype:
                raise ValueError(
                    f"row {row}: its steps are {tuple(sequence.shape[1:])} {sequence.dtype}, "
                    f"those of row 0 are {tuple(sequences[0].shape[1:])} {sequences[0].dtype}"
                )
            if self.stepwise and len(target) != len(sequence):
                raise ValueError(f"row {row}: {len(target)} targets for {len(sequence)} steps")
        self.values = torch.cat(list(sequences)) if len(sequences) else torch.empty(0)
        joined = self.stepwise and len(targets) > 0
        self.targets = torch.cat(list(cast(Sequence[Tensor], targets))) if joined else torch.as_tensor(targets)
        ends = self.lengths.cumsum(0)
        self._spans = list(zip((ends - self.lengths).tolist(), ends.tolist(), strict=True))

    def joined(self, others: Sequence["RaggedDataset"]) -> "RaggedDataset":
        parts = [self, *others]
        sequences = [part.values[first:end] for part in parts for first, end in part._spans]
        if not self.stepwise:
            return RaggedDataset(sequences, torch.cat([part.targets for part in parts]))
        return RaggedDataset(sequences, [part.targets[first:end] for part in parts for first, end in part._spans])

    def __getitems__(self, rows: list[int]) -> SequenceBatch:
        spans = [self._spans[row] for row in rows]
        inputs, lengths = pad([self.values[first:end] for first, end in spans])
        if not self.stepwise:
            return SequenceBatch(inputs, lengths, self.targets[torch.tensor(rows)])
        return SequenceBatch(inputs, lengths, pad([self.targets[first:end] for first, end in spans])[0])
