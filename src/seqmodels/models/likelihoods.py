"""What a forecaster says of each value to come: a point, quantiles, or a normal distribution."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

PointLoss = Literal["mse", "mae", "huber"]
EVERY_95 = 1.959964  # deviations around the mean that hold 95 % of a normal distribution

__all__ = ["GaussianForecast", "Likelihood", "PointForecast", "QuantileForecast"]


class Likelihood(ABC):
    """Reads the last dimension of a network's outputs, ``(..., size)``, as numbers about one value."""

    size: int
    """Numbers for each value."""

    def constrained(self, outputs: Tensor) -> Tensor:
        """Return what a network puts out as numbers that the others take; by default as it is."""
        return outputs

    def shifted(self, numbers: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        """Return ``numbers (..., size)`` about ``scale * value + location`` instead; both have no last dimension."""
        return numbers * scale[..., None] + location[..., None]

    @abstractmethod
    def loss(self, numbers: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of ``numbers (..., size)`` for ``targets (...)``."""

    @abstractmethod
    def point(self, numbers: Tensor) -> Tensor:
        """Return the value to name where one must be named, ``(...)``."""

    @abstractmethod
    def named(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return what a forecast consists of beside its point, by name: quantiles, bounds; each ``(...)``."""


class PointForecast(Likelihood):
    """One number: the mean where ``mse`` is made small, the median where ``mae`` is, something between by ``huber``."""

    size = 1

    def __init__(self, loss: PointLoss = "mse") -> None:
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "mse": F.mse_loss,
            "mae": F.l1_loss,
            "huber": F.huber_loss,
        }
        if loss not in losses:
            raise ValueError(f"loss must be one of {', '.join(get_args(PointLoss))}, got {loss!r}")
        self._loss = losses[loss]

    def loss(self, numbers: Tensor, targets: Tensor) -> Tensor:
        return self._loss(numbers[..., 0], targets)

    def point(self, numbers: Tensor) -> Tensor:
        return numbers[..., 0]

    def named(self, numbers: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return {}


class QuantileForecast(Likelihood):
    """Quantiles, learnt by the pinball loss (Koenker and Bassett, 1978); the median is the point.

    Args:
        levels: of the quantiles, ascending in (0, 1), 0.5 among them.
    """

    def __init__(self, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        ascending = list(levels) == sorted(set(levels))
        if not ascending or 0.5 not in levels or not all(0 < level < 1 for level in levels):
            raise ValueError(f"levels must ascend in (0, 1) with 0.5 among them, got {list(levels)}")
        self.levels = tuple(levels)
        self.size = len(self.levels)

    def loss(self, numbers: Tensor, targets: Tensor) -> Tensor:
        error = targets[..., None] - numbers
        levels = torch.tensor(self.levels, dtype=error.dtype, device=error.device)
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    def point(self, numbers: Tensor) -> Tensor:
        return self._sorted(numbers)[..., self.levels.index(0.5)]

    def named(self, numbers: Tensor) -> dict[str, Tensor]:
        quantiles = self._sorted(numbers).unbind(-1)
        return {f"q{level:g}": quantile for level, quantile in zip(self.levels, quantiles, strict=True)}

    def _sorted(self, numbers: Tensor) -> Tensor:
        """Nothing in training keeps quantiles from crossing; sorted they are no worse (Chernozhukov et al., 2010)."""
        return numbers.sort(-1).values


class GaussianForecast(Likelihood):
    """Mean and deviation of a normal distribution, learnt by its negative log-likelihood in nats a value.

    Args:
        least: the smallest deviation, on the scale of the training part, so that no likelihood runs away.
    """

    size = 2

    def __init__(self, least: float = 1e-3) -> None:
        if not least > 0:
            raise ValueError(f"least must be positive, got {least}")
        self.least = least

    def constrained(self, outputs: Tensor) -> Tensor:
        mean, raw = outputs.unbind(-1)
        return torch.stack((mean, F.softplus(raw) + self.least), -1)

    def shifted(self, numbers: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        mean, deviation = numbers.unbind(-1)
        return torch.stack((mean * scale + location, deviation * scale), -1)

    def loss(self, numbers: Tensor, targets: Tensor) -> Tensor:
        mean, deviation = numbers.unbind(-1)
        return F.gaussian_nll_loss(mean, targets, deviation.square(), full=True, eps=1e-12)

    def point(self, numbers: Tensor) -> Tensor:
        return numbers[..., 0]

    def named(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return the bounds that hold 95 % of the values."""
        mean, deviation = numbers.unbind(-1)
        return {"low": mean - EVERY_95 * deviation, "high": mean + EVERY_95 * deviation}
