"""Augmentations of sound, before its features are computed. Their only randomness is that of the given generator.

Sounds are ``samples (batch, time)``, right-padded with zeros, with ``lengths (batch,)``; padding stays zero.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from seqmodels.data.audio.resampling import resample
from seqmodels.sequence import length_mask


class WaveformAugmentation(ABC):
    """Changes the sounds of a training batch."""

    @abstractmethod
    def __call__(
        self, samples: Tensor, lengths: Tensor, generator: Generator, sample_rate: int
    ) -> tuple[Tensor, Tensor]:
        """Return changed ``samples (batch, new time)`` and their lengths."""


class Noise(WaveformAugmentation):
    """Add white noise to each sound, its level drawn uniformly in decibels.

    Args:
        low, high: bounds of the ratio of the power of a sound to that of its noise, in dB.

    Raises:
        ValueError: ``low`` is above ``high``.

    Example:
        >>> noise = Noise(low=10.0, high=10.0)
        >>> samples, lengths = noise(torch.ones(2, 5), torch.tensor([5, 5]), torch.Generator().manual_seed(0), 8000)
        >>> samples.shape, bool((samples != 1).all())
        (torch.Size([2, 5]), True)
    """

    def __init__(self, *, low: float = 10.0, high: float = 40.0) -> None:
        if not low <= high:
            raise ValueError(f"low must be at most high={high}, got {low}")
        self.low = low
        self.high = high

    def __call__(
        self,
        samples: Tensor,
        lengths: Tensor,
        generator: Generator,
        sample_rate: int,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        power = samples.square().sum(1, keepdim=True) / lengths[:, None]
        ratio = self.low + (self.high - self.low) * torch.rand(len(samples), 1, generator=generator)
        deviation = (power / 10 ** (ratio / 10)).sqrt()
        noise = deviation * torch.randn(samples.shape, generator=generator)
        return samples + noise * length_mask(lengths, samples.shape[1]), lengths


class Speed(WaveformAugmentation):
    """Play each sound at a speed drawn from a few, which changes its length and pitch (Ko et al., 2015).

    Args:
        factors: the speeds, of equal probability; they are rounded to hundredths.

    Raises:
        ValueError: a factor lies outside of 0.5 to 2, or there is none.

    Example:
        >>> speed = Speed(factors=[2.0])
        >>> samples, lengths = speed(torch.ones(2, 100), torch.tensor([100, 50]), torch.Generator(), 8000)
        >>> samples.shape, lengths
        (torch.Size([2, 50]), tensor([50, 25]))
    """

    def __init__(self, *, factors: Sequence[float] = (0.9, 1.0, 1.1)) -> None:
        if not factors or not all(0.5 <= factor <= 2 for factor in factors):
            raise ValueError(f"factors must be speeds of 0.5 to 2, at least one, got {list(factors)}")
        self.factors = tuple(factors)

    def __call__(
        self,
        samples: Tensor,
        lengths: Tensor,
        generator: Generator,
        sample_rate: int,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(len(self.factors), (len(samples),), generator=generator).tolist()
        faster = [
            resample(row[:length], round(100 * self.factors[factor]), 100)
            for row, length, factor in zip(samples, lengths.tolist(), drawn, strict=True)
        ]
        return pad_sequence(faster, batch_first=True), torch.tensor([len(row) for row in faster])


class Shift(WaveformAugmentation):
    """Move each sound earlier or later by a uniform time; what leaves its length is lost, and silence follows.

    Args:
        seconds: largest shift either way.

    Raises:
        ValueError: ``seconds`` is not positive.

    Example:
        >>> shift = Shift(seconds=0.01)
        >>> samples, lengths = shift(torch.ones(2, 100), torch.tensor([100, 50]), torch.Generator(), 8000)
        >>> samples.shape, lengths
        (torch.Size([2, 100]), tensor([100,  50]))
    """

    def __init__(self, *, seconds: float = 0.05) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be positive, got {seconds}")
        self.seconds = seconds

    def __call__(
        self, samples: Tensor, lengths: Tensor, generator: Generator, sample_rate: int
    ) -> tuple[Tensor, Tensor]:
        most = round(self.seconds * sample_rate)
        later = torch.randint(-most, most + 1, (len(samples), 1), generator=generator)
        source = torch.arange(samples.shape[1]) - later
        inside = (source >= 0) & (source < lengths[:, None]) & length_mask(lengths, samples.shape[1])
        moved = samples.gather(1, source.clamp(0, samples.shape[1] - 1))
        return moved * inside, lengths
