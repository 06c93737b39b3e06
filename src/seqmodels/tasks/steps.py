"""Selection of real steps in stepwise outputs."""

from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.sequence import length_mask


def real_steps(outputs: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """Return outputs and targets without padding: one entry per row, or one per real step of all rows.

    Args:
        outputs: ``(batch, output)``, or ``(batch, time, output)`` if the batch has a target for every step.
        batch: the batch that they were computed from.

    Returns:
        ``(entries, output)`` outputs, and their targets.

    Raises:
        ValueError: one of the two is stepwise, and the other one is for whole sequences.
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
        return outputs, targets
    mask = length_mask(lengths.to(outputs.device), outputs.shape[1])
    return outputs[mask], targets[mask]


def rows_of(values: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return the output of each row without padding: ``(output,)``, or ``(time_i, output)`` of its real steps."""
    if values.dim() == 2:
        return list(values)
    return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]
