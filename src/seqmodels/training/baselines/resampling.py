"""Series of any lengths as series of one length, by linear interpolation."""

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch


def resampled(batch: SequenceBatch, steps: int) -> Tensor:
    """Return the series of a batch, each stretched or compressed to ``(batch, steps, channels)``.

    Example:
        >>> batch = SequenceBatch(torch.tensor([[[0.0], [4.0], [9.0]]]), torch.tensor([2]), torch.tensor([0]))
        >>> resampled(batch, 5).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    series, last = batch.inputs, batch.lengths - 1
    if steps == series.shape[1] and bool((last == steps - 1).all()):
        return series
    place = torch.arange(steps, dtype=torch.float64) / max(steps - 1, 1) * last[:, None]
    before = place.floor().long()
    after = torch.minimum(before + 1, last[:, None])
    share = (place - before)[..., None].to(series.dtype)
    row = torch.arange(len(series))[:, None]
    return torch.lerp(series[row, before], series[row, after], share)
