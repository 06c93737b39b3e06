"""Spectral features of sound: log-mel energies and MFCC."""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor

from seqmodels.system.names import public_name

FLOOR = 1e-6  # added to energies before the logarithm


def power_spectrum(samples: Tensor, *, fft: int, window: int, hop: int) -> Tensor:
    r"""Return the power of each frequency in frames of a sound.

    .. math::

        P_{t, k} = \left| \sum_n w_n \, x_{t h + n} \, e^{-2 \pi i k n / N} \right|^2

    with a periodic Hann window :math:`w` that is centred on sample :math:`t h`; before and after the sound there is
    silence, so that a sound has the same frames alone as padded with zeros.

    Args:
        samples: ``(batch, time)``.
        fft: length :math:`N` of the transform, at least ``window``.
        window: samples that a frame sees.
        hop: samples :math:`h` from one frame to the next.

    Returns:
        ``(batch, 1 + time // hop, 1 + fft // 2)``.

    Example:
        >>> power_spectrum(torch.zeros(2, 100), fft=16, window=16, hop=10).shape
        torch.Size([2, 11, 9])
    """
    hann = torch.hann_window(window, dtype=samples.dtype, device=samples.device)
    spectrum = torch.stft(
        samples, fft, hop, window, hann, center=True, pad_mode="constant", onesided=True, return_complex=True
    )
    return spectrum.abs().square().transpose(1, 2)


@lru_cache(maxsize=32)
def mel_filters(sample_rate: int, fft: int, bands: int, low: float, high: float) -> Tensor:
    r"""Return triangular filters that are evenly spaced on the mel scale, ``(1 + fft // 2, bands)``.

    .. math::

        \mathrm{mel}(f) = 2595 \log_{10} (1 + f / 700)

    (O'Shaughnessy, 1987, as in HTK.) A filter rises from the centre of the one before to 1 at its own, and falls to 0
    at the centre of the next; areas are not normalised. These are the defaults of torchaudio's ``MelSpectrogram``.

    Raises:
        ValueError: a band has no frequency of the transform, so that its energy would always be 0.

    Example:
        >>> mel_filters(8000, 256, 40, 20.0, 4000.0).shape
        torch.Size([129, 40])
    """
    edges = torch.linspace(_mel(low), _mel(high), bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges / 2595) - 1)
    slopes = edges - torch.linspace(0, sample_rate // 2, 1 + fft // 2, dtype=torch.float64)[:, None]
    widths = edges.diff()
    filters = torch.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp(min=0)
    if (empty := (filters == 0).all(0).nonzero()).numel():
        raise ValueError(
            f"bands={bands} are too many from {low:g} to {high:g} Hz for frames of {fft} values at {sample_rate} Hz: "
            f"band {int(empty[0])} has none; fewer bands or a longer window"
        )
    return filters


@lru_cache(maxsize=32)
def cosine_transform(bands: int, coefficients: int) -> Tensor:
    r"""Return the orthonormal DCT-II, ``(bands, coefficients)``.

    .. math::

        D_{n, k} = \sqrt{\tfrac{2 - [k = 0]}{N}} \cos \frac{\pi k (2 n + 1)}{2 N}

    Example:
        >>> full = cosine_transform(5, 5)
        >>> torch.allclose(full @ full.T, torch.eye(5, dtype=torch.float64))
        True
    """
    n = torch.arange(bands, dtype=torch.float64)[:, None]
    k = torch.arange(coefficients, dtype=torch.float64)
    scale = (1 + (k > 0).double()) / bands
    return (math.pi / bands * k * (n + 0.5)).cos() * scale.sqrt()


@dataclass(frozen=True, kw_only=True)
class Features(ABC):
    """What a network sees of a sound: one vector for each frame.

    Frames are windows of ``window`` seconds, padded with zeros to a power of two, ``hop`` seconds apart, the first of
    them centred on the first sample (:func:`power_spectrum`).

    Args:
        sample_rate: in Hz; None: that of the first training recording.
        window: seconds that a frame sees.
        hop: seconds from one frame to the next.
        bands: number of mel bands.
        low, high: edges of the lowest and highest band in Hz; ``high=None``: half the sample rate.

    Raises:
        ValueError: an option is out of range, or there are too many bands.
    """

    sample_rate: int | None = None
    window: float = 0.025
    hop: float = 0.01
    bands: int = 40
    low: float = 20.0
    high: float | None = None

    def __post_init__(self) -> None:
        if self.bands < 1:
            raise ValueError(f"bands must be at least 1, got {self.bands}")
        if not 0 < self.hop <= self.window:
            raise ValueError(f"hop must be positive and at most window={self.window}, got {self.hop}")
        if self.sample_rate is None:
            return
        if self.window * self.sample_rate < 2 or self.hop * self.sample_rate < 1:
            raise ValueError(f"window={self.window} and hop={self.hop} are too short for {self.sample_rate} Hz")
        if not 0 <= self.low < self.highest <= self.sample_rate / 2:
            raise ValueError(
                f"low and high must lie in order in 0 to {self.sample_rate / 2:g} Hz, half the sample rate, "
                f"got {self.low:g} and {self.highest:g}"
            )
        self._filters()

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of features of a frame."""

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds the features."""
        return {"_target_": public_name(type(self)), **asdict(self)}

    @property
    def rate(self) -> int:
        """The sample rate, once it is known."""
        assert self.sample_rate is not None
        return self.sample_rate

    @property
    def highest(self) -> float:
        return self.rate / 2 if self.high is None else self.high

    def at(self, sample_rate: int) -> Self:
        """Return the features with a sample rate, unless they have one.

        Raises:
            ValueError: the options do not fit the rate.
        """
        return self if self.sample_rate is not None else replace(self, sample_rate=sample_rate)

    def frames(self, lengths: Tensor) -> Tensor:
        """Return the number of frames of sounds with these numbers of samples."""
        return 1 + lengths // round(self.hop * self.rate)

    def log_mel(self, samples: Tensor) -> Tensor:
        r"""Return :math:`\log(P M + 10^{-6})`, ``(batch, frames, bands)``, of ``samples (batch, time)``."""
        window, hop = round(self.window * self.rate), round(self.hop * self.rate)
        power = power_spectrum(samples, fft=_power_of_two(window), window=window, hop=hop)
        return (power @ self._filters().to(power) + FLOOR).log()

    @abstractmethod
    def __call__(self, samples: Tensor) -> Tensor:
        """Return the features ``(batch, frames, size)`` of ``samples (batch, time)`` at :attr:`rate`."""

    def _filters(self) -> Tensor:
        fft = _power_of_two(round(self.window * self.rate))
        return mel_filters(self.rate, fft, self.bands, float(self.low), float(self.highest))


@dataclass(frozen=True, kw_only=True)
class LogMel(Features):
    r"""The logarithm of the energy in each mel band, :math:`\log(P M + 10^{-6})`.

    :math:`P` is :func:`power_spectrum`, :math:`M` :func:`mel_filters`; the logarithm is natural. Options as for all.

    Example:
        >>> LogMel(sample_rate=8000, bands=23)(torch.randn(2, 4000)).shape
        torch.Size([2, 51, 23])
    """

    @property
    def size(self) -> int:
        return self.bands

    def __call__(self, samples: Tensor) -> Tensor:
        return self.log_mel(samples)


@dataclass(frozen=True, kw_only=True)
class MFCC(Features):
    r"""Mel-frequency cepstral coefficients (Davis and Mermelstein, 1980): :math:`\log(P M + 10^{-6}) \, D`.

    :math:`D` is :func:`cosine_transform`, so that the first coefficients describe the shape of the spectrum and leave
    out its detail, such as the pitch. There is no liftering, pre-emphasis or dither.

    Args:
        coefficients: how many are kept, from the zeroth on; at most ``bands``.

    Example:
        >>> MFCC(sample_rate=8000, coefficients=13)(torch.randn(2, 4000)).shape
        torch.Size([2, 51, 13])
    """

    coefficients: int = 13

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.coefficients <= self.bands:
            raise ValueError(f"coefficients must be 1 to bands={self.bands}, got {self.coefficients}")

    @property
    def size(self) -> int:
        return self.coefficients

    def __call__(self, samples: Tensor) -> Tensor:
        energies = self.log_mel(samples)
        return energies @ cosine_transform(self.bands, self.coefficients).to(energies)


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
