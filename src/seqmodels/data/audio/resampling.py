"""Resampling of sound."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

CROSSINGS = 6  # zero crossings of the kernel on each side
ROLLOFF = 0.99  # cutoff as a fraction of half the lower rate


def resample(samples: Tensor, rate: int, wanted: int) -> Tensor:
    r"""Return sound at another sample rate, by interpolation with a windowed sinc (Smith, "Digital audio resampling").

    .. math::

        y_n = \sum_k x_k \, h(n / f' - k / f), \qquad
        h(t) = \frac{c}{f} \, \mathrm{sinc}(c t) \cos^2 \frac{\pi c t}{12}, \qquad |c t| < 6

    with :math:`f` the old rate, :math:`f'` the new one, and :math:`c = 0.99 \min(f, f')`: what the lower rate cannot
    represent is filtered out, and the window ends at the sixth zero crossing. Both are the defaults of torchaudio.
    Before and after the sound there is silence.

    Args:
        samples: ``(..., time)``.
        rate: samples per second.
        wanted: the new rate.

    Returns:
        ``(..., ceil(time * wanted / rate))``.

    Raises:
        ValueError: a rate is not positive.

    Example:
        >>> resample(torch.ones(800), 8000, 16000).shape
        torch.Size([1600])
    """
    if rate < 1 or wanted < 1:
        raise ValueError(f"sample rates must be at least 1, got {rate} and {wanted}")
    common = math.gcd(rate, wanted)
    old, new = rate // common, wanted // common
    if old == new:
        return samples
    kernels, width = _kernels(old, new)
    flat = F.pad(samples.reshape(-1, 1, samples.shape[-1]), (width, width + old))
    phases = F.conv1d(flat, kernels.to(samples), stride=old)  # (rows, new, steps)
    steps = -(-samples.shape[-1] * new // old)
    return phases.transpose(1, 2).reshape(*samples.shape[:-1], -1)[..., :steps]


@lru_cache(maxsize=32)
def _kernels(old: int, new: int) -> tuple[Tensor, int]:
    """Return one kernel for each position of an output among the inputs, ``(new, 1, taps)``, and its half width."""
    cutoff = ROLLOFF * min(old, new)
    width = math.ceil(CROSSINGS * old / cutoff)
    at = torch.arange(-width, width + old, dtype=torch.float64) / old - torch.arange(new)[:, None] / new
    time = (at * cutoff).clamp(-CROSSINGS, CROSSINGS)
    kernels = torch.sinc(time) * (math.pi * time / CROSSINGS / 2).cos().square() * cutoff / old
    return kernels[:, None], width
