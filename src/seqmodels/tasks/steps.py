"""Answers at every step: which of them are real."""

from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.sequence import length_mask


def real_steps(outputs: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """Return ``outputs (answers, output)`` and their targets: one for each row, or one for each real step of all rows.

    Args:
        outputs: ``(batch, output)``, or ``(batch, time, output)``, where the batch has a target for every step.
        batch: whose inputs they answer.

    Raises:
        ValueError: one of the two has an answer for every step, the other one for a whole sequence.
    """
    _, lengths, targets = batch
    stepwise = batch.stepwise
    if stepwise != (outputs.dim() == 3) or (stepwise and targets.shape[:2] != outputs.shape[:2]):
        hint = "choose pooling=every_step" if stepwise else "choose another pooling than every_step"
        raise ValueError(
            f"targets {tuple(targets.shape)} do not fit outputs {tuple(outputs.shape)}: the data have one target for "
            f"{'every step' if stepwise else 'a whole sequence'}; {hint}"
        )
    if not stepwise:
        return outputs, targets
    mask = length_mask(lengths.to(outputs.device), outputs.shape[1])
    return outputs[mask], targets[mask]


def rows_of(values: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return what a network said of each row: ``(output,)``, or ``(time_i, output)`` of its real steps."""
    if values.dim() == 2:
        return list(values)
    return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]
