"""What a forecaster predicts for each future value: a point, quantiles, or a normal distribution.

Every likelihood also defines an interval around its point, for a *margin* which says how wide it is. Calibration on the
validation part (:mod:`seqmodels.tasks.calibration`) finds the margin at which intervals cover the wanted share of the
outcomes; a likelihood that states probabilities has a margin of its own.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.sequence import constants

PointLoss = Literal["mse", "mae", "huber"]
_POINT_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}

__all__ = ["GaussianForecast", "Likelihood", "PointForecast", "QuantileForecast"]


class Likelihood(ABC):
    """Base of likelihoods: the last dimension of ``params (..., size)`` holds the parameters for one value.

    Example:
        >>> params = torch.tensor([[1.0, 2.0, 3.0]])
        >>> QuantileForecast((0.1, 0.5, 0.9)).statistics(params)
        {'q0.1': tensor([1.]), 'q0.5': tensor([2.]), 'q0.9': tensor([3.])}
    """

    size: int
    """Number of parameters for each value."""

    share: float = 0.95
    """Share of the outcomes that an interval covers unless another is asked for."""

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name not in ("size", "share"))
        return f"{type(self).__name__}({options})"

    def constrained(self, outputs: Tensor) -> Tensor:
        """Return the raw outputs of a network as valid parameters; unchanged by default."""
        return outputs

    def shifted(self, params: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        """Return the parameters for ``scale * value + location``, both of which have no last dimension."""
        return params * scale[..., None] + location[..., None]

    @abstractmethod
    def loss(self, params: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of ``params (..., size)`` for ``targets (...)``."""

    @abstractmethod
    def point(self, params: Tensor) -> Tensor:
        """Return the point forecast, ``(...)``."""

    def statistics(self, params: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the parts of a forecast other than point and interval, by name, each ``(...)``; none by default."""
        return {}

    @abstractmethod
    def score(self, params: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the least margin, ``(...)``, at which the interval of ``params`` contains each target."""

    @abstractmethod
    def bounds(self, params: Tensor, margin: Tensor | float, share: float) -> tuple[Tensor, Tensor]:
        """Return the lower and the upper bound, each ``(...)``, of the interval for ``share`` with a margin."""

    @abstractmethod
    def stated_margin(self, share: float) -> float | None:
        """Return the margin at which intervals cover ``share`` if the likelihood is right; None if it states none."""


class PointForecast(Likelihood):
    """One parameter, the point itself.

    Args:
        loss: ``mse`` (the point becomes the mean), ``mae`` (the median) or ``huber`` (something in between).

    Raises:
        ValueError: ``loss`` is unknown.

    Example:
        >>> float(PointForecast("mae").loss(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 5.0])))
        1.5
    """

    size = 1

    def __init__(self, loss: PointLoss = "mse") -> None:
        if loss not in _POINT_LOSSES:
            raise ValueError(f"loss must be one of {', '.join(_POINT_LOSSES)}, got {loss!r}")
        self.kind = loss

    def loss(self, params: Tensor, targets: Tensor) -> Tensor:
        return _POINT_LOSSES[self.kind](params[..., 0], targets)

    def point(self, params: Tensor) -> Tensor:
        return params[..., 0]

    def score(self, params: Tensor, targets: Tensor, share: float) -> Tensor:  # noqa: ARG002
        return (targets - params[..., 0]).abs()

    def bounds(self, params: Tensor, margin: Tensor | float, share: float) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the point minus and plus the margin."""
        return params[..., 0] - margin, params[..., 0] + margin

    def stated_margin(self, share: float) -> float | None:  # noqa: ARG002
        return None


class QuantileForecast(Likelihood):
    """Quantiles, learnt with the pinball loss (Koenker and Bassett, 1978); the median is the point.

    Args:
        levels: of the quantiles, ascending in (0, 1), 0.5 among them.

    Raises:
        ValueError: ``levels`` are not.

    Example:
        >>> QuantileForecast((0.1, 0.5, 0.9)).point(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([2.])
    """

    def __init__(self, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        ascending = list(levels) == sorted(set(levels))
        if not ascending or 0.5 not in levels or not all(0 < level < 1 for level in levels):
            raise ValueError(f"levels must ascend in (0, 1) with 0.5 among them, got {list(levels)}")
        self.levels = tuple(levels)
        self.size = len(self.levels)
        self.share = round(1 - 2 * min(self.levels[0], 1 - self.levels[-1]), 6) or type(self).share

    def loss(self, params: Tensor, targets: Tensor) -> Tensor:
        error = targets[..., None] - params
        levels = constants(self.levels, error)
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    def point(self, params: Tensor) -> Tensor:
        return self._sorted(params)[..., self.levels.index(0.5)]

    def statistics(self, params: Tensor) -> dict[str, Tensor]:
        quantiles = self._sorted(params).unbind(-1)
        return {f"q{level:g}": quantile for level, quantile in zip(self.levels, quantiles, strict=True)}

    def score(self, params: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return how far a target is outside of its quantiles, negative inside (Romano et al., 2019, equation 6)."""
        low, high = self._outer(params, share)
        return torch.maximum(low - targets, targets - high)

    def bounds(self, params: Tensor, margin: Tensor | float, share: float) -> tuple[Tensor, Tensor]:
        """Return the outer quantiles moved apart by the margin, or together if it is negative, up to the median."""
        (low, high), point = self._outer(params, share), self.point(params)
        return torch.minimum(low - margin, point), torch.maximum(high + margin, point)

    def stated_margin(self, share: float) -> float | None:
        tails = [self.levels[index] - tail for index, tail in zip(self._pair(share), _tails(share), strict=True)]
        return 0.0 if max(map(abs, tails)) < 1e-6 else None

    def _pair(self, share: float) -> tuple[int, int]:
        """Return the indices of the levels that are nearest to the tails of a central interval."""
        low, high = ([abs(level - tail) for level in self.levels] for tail in _tails(share))
        return low.index(min(low)), high.index(min(high))

    def _outer(self, params: Tensor, share: float) -> tuple[Tensor, Tensor]:
        low, high = self._pair(share)
        quantiles = self._sorted(params)
        return quantiles[..., low], quantiles[..., high]

    def _sorted(self, params: Tensor) -> Tensor:
        """Sort quantiles, which may cross; that never increases their error (Chernozhukov et al., 2010)."""
        return params.sort(-1).values


class GaussianForecast(Likelihood):
    """Mean and standard deviation of a normal distribution, learnt with its negative log-likelihood in nats.

    Args:
        least: the smallest standard deviation, on the scale of the training part, which bounds the likelihood.

    Raises:
        ValueError: ``least`` is not positive.

    Example:
        >>> likelihood = GaussianForecast()
        >>> likelihood.bounds(torch.tensor([[0.0, 1.0]]), likelihood.stated_margin(0.95), 0.95)
        (tensor([-1.9600]), tensor([1.9600]))
    """

    size = 2

    def __init__(self, least: float = 1e-3) -> None:
        if not least > 0:
            raise ValueError(f"least must be positive, got {least}")
        self.least = least

    def constrained(self, outputs: Tensor) -> Tensor:
        mean, raw = outputs.unbind(-1)
        return torch.stack((mean, F.softplus(raw) + self.least), -1)

    def shifted(self, params: Tensor, location: Tensor, scale: Tensor) -> Tensor:
        mean, deviation = params.unbind(-1)
        return torch.stack((mean * scale + location, deviation * scale), -1)

    def loss(self, params: Tensor, targets: Tensor) -> Tensor:
        mean, deviation = params.unbind(-1)
        variance = deviation.square()
        # F.gaussian_nll_loss reads on the host whether a variance is negative
        return (0.5 * (variance.log() + (mean - targets).square() / variance)).mean() + 0.5 * math.log(2 * math.pi)

    def point(self, params: Tensor) -> Tensor:
        return params[..., 0]

    def score(self, params: Tensor, targets: Tensor, share: float) -> Tensor:  # noqa: ARG002
        """Return the distance from the mean in standard deviations."""
        mean, deviation = params.unbind(-1)
        return (targets - mean).abs() / deviation

    def bounds(self, params: Tensor, margin: Tensor | float, share: float) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the mean minus and plus ``margin`` standard deviations."""
        mean, deviation = params.unbind(-1)
        return mean - margin * deviation, mean + margin * deviation

    def stated_margin(self, share: float) -> float | None:
        return NormalDist().inv_cdf((1 + share) / 2)


def _tails(share: float) -> tuple[float, float]:
    """Return the levels of the bounds of the central interval that covers ``share``."""
    return (1 - share) / 2, (1 + share) / 2
