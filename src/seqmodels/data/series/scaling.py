"""Series on a common scale, with statistics of the training part alone."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Scaling(NamedTuple):
    """Subtract a mean, divide by a deviation; each series by itself."""

    mean: Tensor  # (series,) float64
    deviation: Tensor  # (series,) float64, positive

    @classmethod
    def of(cls, mean: Sequence[float], deviation: Sequence[float]) -> "Scaling":
        """Return the scaling of plain numbers, one for each series."""
        return cls(torch.tensor(mean, dtype=torch.float64), torch.tensor(deviation, dtype=torch.float64))

    def apply(self, values: Tensor) -> Tensor:
        """Return ``values (..., series)`` on the common scale."""
        return (values - self.mean.to(values)) / self.deviation.to(values)


def fit_scaling(values: Tensor, *, standardize: bool = True) -> Scaling:
    """Return the scaling that gives each of the series ``values (steps, series)`` mean 0 and deviation 1.

    A series that never changes is divided by 1: it becomes 0. Without ``standardize`` all values stay as they are.
    """
    if not standardize:
        return Scaling.of([0.0] * values.shape[1], [1.0] * values.shape[1])
    deviation = values.std(0, correction=0)
    # of equal values, rounding of their mean leaves a deviation that is not quite 0
    changes = (values != values[0]).any(0) & (deviation > 0)
    return Scaling(values.mean(0), torch.where(changes, deviation, torch.ones_like(deviation)))


def seasonal_error(values: Tensor, season: int) -> Tensor:
    """Return the mean absolute change of each series over a season, ``(series,)``: the unit of MASE.

    It is the error of a seasonal-naive forecast within ``values (steps, series)`` (Hyndman and Koehler, 2006); 1 where
    that is 0 but for rounding.
    """
    error = (values[season:] - values[:-season]).abs().mean(0)
    return torch.where(error > 1e-12 * values.abs().amax(0), error, torch.ones_like(error))
