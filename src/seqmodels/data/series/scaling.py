"""Scaling of series by statistics of the training split only."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

HUGE, UNIT = 1e150, 2.0**600
ROUNDING = 4 * torch.finfo(torch.float64).eps


class Scaling(NamedTuple):
    """Per-series scaling: subtract the mean, divide by the deviation."""

    mean: Tensor  # (series,) float64
    deviation: Tensor  # (series,) float64, positive

    @classmethod
    def of(cls, mean: Sequence[float], deviation: Sequence[float]) -> "Scaling":
        """Build a scaling from plain numbers, one per series."""
        return cls(torch.tensor(mean, dtype=torch.float64), torch.tensor(deviation, dtype=torch.float64))

    def apply(self, values: Tensor) -> Tensor:
        """Scale ``values (..., series)``."""
        return (values - self.mean.to(values)) / self.deviation.to(values)


def fit_scaling(values: Tensor, *, standardize: bool = True) -> Scaling:
    """Return the scaling that gives each of the series ``values (steps, series)`` mean 0 and deviation 1.

    A series that is constant up to rounding is divided by 1 and so becomes 0. Without ``standardize``, the scaling is
    the identity.
    """
    values = values.double()
    if not standardize:
        return Scaling.of([0.0] * values.shape[1], [1.0] * values.shape[1])
    size = values.abs().amax(0)
    # a power of two, so that no square overflows or underflows, and usually 1
    unit = torch.ones_like(size).where(size < HUGE, 1 / UNIT).where((size > 1 / HUGE) | (size == 0), UNIT)
    within = values * unit
    mean, deviation = within.mean(0), within.std(0, correction=0)
    # rounding of the mean can give a constant series a tiny non-zero deviation
    changes = (values != values[0]).any(0) & (deviation > ROUNDING * size * unit)
    return Scaling(mean / unit, (deviation / unit).where(changes, torch.ones_like(deviation)))


def seasonal_error(values: Tensor, season: int) -> Tensor:
    """Return the mean absolute seasonal difference of each series, ``(series,)``: the scale of MASE.

    It is the error of the seasonal-naive forecast on ``values (steps, series)`` (Hyndman and Koehler, 2006), or 1 if
    that is 0 up to rounding.
    """
    error = (values[season:] - values[:-season]).abs().mean(0)
    return torch.where(error > 1e-12 * values.abs().amax(0), error, torch.ones_like(error))
