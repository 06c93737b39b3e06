"""Schedules of scheduled sampling: functions from a training step to the probability of an own token.

They are the three of Bengio et al. (2015, arXiv 1506.03099), who state one minus it, the probability of a true token.
"""

import math

__all__ = ["constant", "inverse_sigmoid", "linear"]


def constant(step: int, *, rate: float) -> float:  # noqa: ARG001  (one signature for all)
    """Return one probability at all steps.

    Args:
        step: number of optimiser steps before this one.
        rate: the probability that the decoder reads its own token in place of the true one.

    Raises:
        ValueError: ``rate`` is outside [0, 1].

    Example:
        >>> constant(1000, rate=0.5)
        0.5
    """
    return _checked("rate", rate)


def linear(step: int, *, first: float = 0.0, last: float, steps: int) -> float:
    """Return a probability that changes evenly and then stays.

    Args:
        step: number of optimiser steps before this one.
        first: the probability at the first step.
        last: the probability from step number ``steps`` on.
        steps: number of steps in which it changes.

    Raises:
        ValueError: a probability is outside [0, 1], or ``steps`` is below 1.

    Example:
        >>> [linear(step, last=0.5, steps=100) for step in (0, 50, 100, 1000)]
        [0.0, 0.25, 0.5, 0.5]
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    share = min(step / steps, 1.0)
    return (1 - share) * _checked("first", first) + share * _checked("last", last)


def inverse_sigmoid(step: int, *, scale: float) -> float:
    r"""Return a probability that rises to 1 in the form of a sigmoid.

    .. math::

        1 - \frac{k}{k + \exp(\mathrm{step} / k)}

    Args:
        step: number of optimiser steps before this one.
        scale: k, at least 1; the probability is a half after k ln k steps.

    Raises:
        ValueError: ``scale`` is below 1.

    Example:
        >>> [round(inverse_sigmoid(step, scale=100), 2) for step in (0, 461, 1000, 100_000)]
        [0.01, 0.5, 1.0, 1.0]
    """
    if scale < 1:
        raise ValueError(f"scale must be at least 1, got {scale}")
    return 1 / (1 + scale * math.exp(-step / scale))


def _checked(name: str, rate: float) -> float:
    if not 0 <= rate <= 1:
        raise ValueError(f"{name} must be a probability in [0, 1], got {rate}")
    return rate
