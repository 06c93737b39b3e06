"""Augmentations of numeric series: they change the inputs of a training batch, never its lengths or targets.

Their only source of randomness is the given generator. Padding is left unchanged.
"""

from abc import ABC, abstractmethod
from typing import TypeVar

import torch
from torch import Generator, Tensor

from seqmodels.data.batch import SequenceBatch, TranscriptBatch
from seqmodels.sequence import length_mask

Batch = TypeVar("Batch", SequenceBatch, TranscriptBatch)


class SeriesAugmentation(ABC):
    """Changes the real steps of a batch of series."""

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Return the batch with augmented inputs.

        Raises:
            ValueError: its inputs are not numeric series.
        """
        known = isinstance(batch, SequenceBatch | TranscriptBatch)
        if not known or not batch.inputs.is_floating_point():
            got = f"{batch.inputs.dtype}" if known else type(batch).__name__
            raise ValueError(f"{type(self).__name__} changes series of numbers (batch, time, input), got {got}")
        changed = self.change(batch, generator)
        padding = ~length_mask(batch.lengths, batch.inputs.shape[1])[..., None]
        return batch._replace(inputs=torch.where(padding, batch.inputs, changed))

    @abstractmethod
    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        """Return new inputs ``(batch, time, input)``; values in the padding are ignored."""


class Jitter(SeriesAugmentation):
    """Add Gaussian noise with standard deviation ``deviation`` to every value."""

    def __init__(self, *, deviation: float = 0.1) -> None:
        self.deviation = _positive("deviation", deviation)

    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        x = batch.inputs
        return x + self.deviation * torch.randn(x.shape, dtype=x.dtype, generator=generator)


class Scale(SeriesAugmentation):
    """Multiply each channel of each sequence by a Gaussian factor with mean 1 and standard deviation ``deviation``."""

    def __init__(self, *, deviation: float = 0.1) -> None:
        self.deviation = _positive("deviation", deviation)

    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        x = batch.inputs
        rows, _, channels = x.shape
        return x * (1 + self.deviation * torch.randn(rows, 1, channels, dtype=x.dtype, generator=generator))


class TimeWarp(SeriesAugmentation):
    """Resample each sequence at a smoothly varying speed; its first and last step are fixed.

    The log speed is Gaussian with standard deviation ``deviation`` at ``knots`` evenly spaced points and linear in
    between; values between steps are interpolated. Batches with stepwise targets are rejected, since the targets would
    no longer be aligned with the inputs.
    """

    def __init__(self, *, deviation: float = 0.3, knots: int = 4) -> None:
        self.deviation = _positive("deviation", deviation)
        if knots < 2:
            raise ValueError(f"knots must be at least 2, got {knots}")
        self.knots = knots

    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        x = batch.inputs
        rows, time, channels = x.shape
        if batch.stepwise:
            raise ValueError("TimeWarp moves steps, and cannot be used where every step has a target of its own")
        if time < 2:
            return x
        speeds = (self.deviation * torch.randn(rows, self.knots, generator=generator)).exp()
        last = (batch.lengths - 1).clamp(min=1)[:, None]  # (rows, 1)
        at = torch.arange(time) / last * (self.knots - 1)  # position of each step among the knots
        below = at.floor().clamp(max=self.knots - 2).long()
        speed = torch.lerp(speeds.gather(1, below), speeds.gather(1, below + 1), (at - below).clamp(max=1.0))
        travelled = torch.cumsum((speed[:, 1:] + speed[:, :-1]) / 2, dim=1)
        travelled = torch.cat([torch.zeros(rows, 1), travelled], dim=1)
        place = travelled / travelled.gather(1, last) * last  # position of each new step among the old ones
        place = torch.minimum(place, last.to(place.dtype))
        before = place.floor().long().clamp(max=time - 2)
        index = before[..., None].expand(rows, time, channels)
        return torch.lerp(x.gather(1, index), x.gather(1, index + 1), (place - before)[..., None].to(x.dtype))


class TimeMask(SeriesAugmentation):
    """Set ``spans`` spans of each sequence to 0, the mean of standardised data, in all channels.

    The span length is uniform between 0 and ``share`` of the sequence length, the start is arbitrary.
    """

    def __init__(self, *, share: float = 0.2, spans: int = 1) -> None:
        if not 0 < share < 1:
            raise ValueError(f"share must lie in (0, 1), got {share}")
        if spans < 1:
            raise ValueError(f"spans must be at least 1, got {spans}")
        self.share = share
        self.spans = spans

    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        x = batch.inputs
        steps = torch.arange(x.shape[1])
        for _ in range(self.spans):
            draws = torch.rand(2, len(x), 1, generator=generator)
            size = (draws[0] * (self.share * batch.lengths[:, None] + 1)).floor()
            start = (draws[1] * (batch.lengths[:, None] - size + 1)).floor()
            x = x.masked_fill(((steps >= start) & (steps < start + size))[..., None], 0)
        return x


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return value
