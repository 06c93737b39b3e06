"""Selection of real steps in stepwise outputs."""

from typing import Any, NamedTuple

from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.sequence import length_mask


class Entries(NamedTuple):
    """What a loss is a mean over: the rows of a batch, or their real steps.

    Steps of the padding are among the entries of a stepwise batch. Taking them out would make the host wait for the
    device, which alone knows how many there are.
    """

    outputs: Tensor  # (entries, output)
    targets: Tensor  # (entries,) classes, or (entries, output)
    real: Tensor | None  # (entries,) bool; None if no entry is padding

    @property
    def number(self) -> int | Tensor:
        """Number of real entries, on the device if only that knows."""
        return len(self.targets) if self.real is None else self.real.sum()

    def without_padding(self) -> "Entries":
        """Return the real entries alone; the host waits for the device."""
        if self.real is None:
            return self
        return Entries(self.outputs[self.real], self.targets[self.real], None)


def real_steps(outputs: Tensor, batch: SequenceBatch) -> Entries:
    """Return outputs and targets: one entry per row, or one per step of all rows.

    Args:
        outputs: ``(batch, output)``, or ``(batch, time, output)`` if the batch has a target for every step.
        batch: the batch that they were computed from.

    Raises:
        ValueError: one of the two is stepwise, and the other one is for whole sequences.

    Example:
        >>> import torch
        >>> batch = SequenceBatch(torch.zeros(2, 3, 4), torch.tensor([3, 1]), torch.tensor([[0, 1, 2], [3, 0, 0]]))
        >>> entries = real_steps(torch.zeros(2, 3, 5), batch)
        >>> entries.outputs.shape, entries.without_padding().targets.tolist()
        (torch.Size([6, 5]), [0, 1, 2, 3])
    """
    _, lengths, targets = batch
    stepwise = batch.stepwise
    if stepwise != (outputs.dim() == 3) or (stepwise and targets.shape[:2] != outputs.shape[:2]):
        hint = "choose pooling=every_step" if stepwise else "choose another pooling than every_step"
        raise ValueError(
            f"targets {tuple(targets.shape)} do not match outputs {tuple(outputs.shape)}: the data have one target for "
            f"{'every step' if stepwise else 'a whole sequence'}; {hint}"
        )
    if not stepwise:
        return Entries(outputs, targets, None)
    real = length_mask(lengths.to(outputs.device), outputs.shape[1])
    return Entries(outputs.flatten(0, 1), targets.flatten(0, 1), real.flatten())


def lists_of(values: Tensor, lengths: Tensor | None) -> list[Any]:
    """Return what each row has as plain numbers, converted at once: an operation for each row would take longer.

    Args:
        values: ``(batch, ...)``, or ``(batch, time, ...)``.
        lengths: number of real steps of each row, ``(batch,)``; None: the second dimension, if any, is not time.

    Example:
        >>> import torch
        >>> lists_of(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]))
        [[1, 2], [3]]
    """
    rows: list[Any] = values.tolist()
    return rows if lengths is None else [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]
