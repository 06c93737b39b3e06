"""Integrated gradients and occlusion, for any function of a batch of sequences."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Score = Callable[[Tensor], Tensor]
"""Maps inputs ``(batch, time, features)`` to a number for each row, ``(batch,)``, which depends on that row alone."""

TOLERANCE = 0.01  # of the difference between the outputs
ROUNDING = 1e-5  # of the sum of all absolute contributions, below which float32 cannot tell


class Contributions(NamedTuple):
    """What each feature of each step adds to the output, compared with a baseline."""

    values: Tensor  # (batch, time, features)
    output: Tensor  # (batch,) for the input
    base: Tensor  # (batch,) for the baseline
    points: int  # of the path, at which gradients were taken

    @property
    def steps(self) -> Tensor:
        """Sums over the features, ``(batch, time)``."""
        return self.values.sum(2)

    @property
    def gap(self) -> Tensor:
        """How far the sums miss the difference of the outputs, as a share of it, ``(batch,)``."""
        difference = self.output - self.base
        missing = (self.values.sum((1, 2)) - difference).abs()
        return missing / difference.abs().clamp(min=torch.finfo(torch.float32).tiny)


def integrated_gradients(
    score: Score,
    inputs: Tensor,
    baseline: Tensor | None = None,
    *,
    points: int = 16,
    most: int = 1024,
    tolerance: float = TOLERANCE,
) -> Contributions:
    r"""Return what each feature of each step contributes to the difference from a baseline.

    .. math::

        a_i = (x_i - b_i) \int_0^1 \frac{\partial f}{\partial x_i} (b + \alpha (x - b)) \, d\alpha

    Sundararajan, Taly and Yan, 2017, Axiomatic attribution for deep networks, arXiv 1703.01365. By the fundamental
    theorem of calculus the contributions of a row sum to ``f(x) - f(b)``. The integral is computed by Gauss-Legendre
    quadrature, with twice as many points until that holds within ``tolerance``.

    Args:
        score: the function; use a network in evaluation mode.
        inputs: ``(batch, time, features)``, such as a series or embedded tokens.
        baseline: an input without content, of the same shape or broadcast to it; 0 by default, which is the mean of a
            standardised series.
        points: of the path, at first.
        most: of the path, at most.
        tolerance: share of the difference that the sums may miss.

    Returns:
        The contributions.

    Raises:
        ValueError: shapes do not fit, or the sums miss the difference even with ``most`` points: the function jumps.

    Example:
        >>> x = torch.tensor([[[3.0, 1.0], [2.0, 5.0]]])
        >>> found = integrated_gradients(lambda x: x[:, 0, 0] * x[:, 1, 0], x)
        >>> found.steps.round(decimals=3).tolist()
        [[3.0, 3.0]]
    """
    if inputs.dim() != 3 or not inputs.is_floating_point():
        raise ValueError(f"inputs must be floating point (batch, time, features), got {tuple(inputs.shape)}")
    inputs = inputs.detach()
    start = torch.zeros_like(inputs) if baseline is None else baseline.detach().expand_as(inputs)
    with torch.no_grad():
        output, base = _checked(score(inputs), inputs), _checked(score(start), inputs)
    while True:
        values = _integral(score, start, inputs, points)
        found = Contributions(values, output, base, points)
        difference, missing = output - base, (values.sum((1, 2)) - (output - base)).abs()
        allowed = torch.maximum(tolerance * difference.abs(), ROUNDING * values.abs().sum((1, 2)))
        if bool((missing <= allowed).all()):
            return found
        if 2 * points > most:
            row = int((missing - allowed).argmax())
            raise ValueError(
                f"row {row}: with {points} points the contributions sum to {float(values[row].sum()):.4g} instead of "
                f"{float(difference[row]):.4g}, a gap of more than {tolerance:.0%}: the output jumps between baseline "
                "and input; another baseline, more points, or occlusion may help"
            )
        points *= 2


def _checked(scores: Tensor, inputs: Tensor) -> Tensor:
    if scores.shape != inputs.shape[:1]:
        raise ValueError(f"score must return one number for each row, ({len(inputs)},), got {tuple(scores.shape)}")
    return scores.double()


def _integral(score: Score, start: Tensor, inputs: Tensor, points: int) -> Tensor:
    """Return the contributions in float64, by quadrature with so many points."""
    total = torch.zeros_like(inputs, dtype=torch.float64)
    nodes, weights = np.polynomial.legendre.leggauss(points)  # on [-1, 1]
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        with torch.enable_grad():
            at = torch.lerp(start, inputs, (node + 1) / 2).requires_grad_()
            (gradient,) = torch.autograd.grad(score(at).sum(), at)
        total += weight / 2 * gradient.double()
    return total * (inputs - start).double()


def occlusion(
    score: Score, inputs: Tensor, baseline: Tensor | None = None, *, window: int = 1, by_feature: bool = False
) -> Tensor:
    """Return how much the output falls when part of the input is replaced by a baseline.

    Zeiler and Fergus, 2014, arXiv 1311.2901. It needs no gradient and holds for functions that jump, but does not sum
    to anything: two steps that say the same each seem to be of no use.

    Args:
        score, inputs, baseline: as in :func:`integrated_gradients`.
        window: number of steps that are replaced together.
        by_feature: replace each feature separately, rather than all features of a step.

    Returns:
        ``(batch, time)``, or ``(batch, time, features)``; one value for all steps of a window.

    Raises:
        ValueError: ``window`` is less than one step.

    Example:
        >>> occlusion(lambda x: x[:, 0, 0] + 2 * x[:, 1, 0], torch.ones(1, 3, 1)).tolist()
        [[1.0, 2.0, 0.0]]
    """
    if window < 1:
        raise ValueError(f"window must be at least 1 step, got {window}")
    start = torch.zeros_like(inputs) if baseline is None else baseline.expand_as(inputs)
    features: list[Any] = list(range(inputs.shape[2])) if by_feature else [slice(None)]
    with torch.no_grad():
        whole = _checked(score(inputs), inputs)
        found = torch.zeros(*inputs.shape[:2], len(features), dtype=torch.float64)
        for first in range(0, inputs.shape[1], window):
            steps = slice(first, first + window)
            for column, feature in enumerate(features):
                without = inputs.clone()
                without[:, steps, feature] = start[:, steps, feature]
                found[:, steps, column] = (whole - _checked(score(without), inputs)).cpu()[:, None]
    return found if by_feature else found[..., 0]


@contextmanager
def fed(module: nn.Module, values: Tensor) -> Iterator[None]:
    """Let a module inside a network read ``values`` instead of its input.

    With it the embedded tokens of a network, which are the input of its ``dropout_input``, can be varied: see
    :func:`embedded`.

    Args:
        module: takes one tensor.
        values: what it reads, of the shape of its usual input.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> with fed(layer, torch.zeros(3, 2)):
        ...     output = layer(torch.ones(3, 2))
        >>> output.tolist()
        [[0.0], [0.0], [0.0]]
    """
    handle = module.register_forward_pre_hook(lambda _, given: (values, *given[1:]))
    try:
        yield
    finally:
        handle.remove()


def embedded(module: nn.Module, run: Callable[[], Any]) -> Tensor:
    """Return what a module inside a network reads while ``run()`` runs the network.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> embedded(layer, lambda: layer(torch.ones(3, 2))).shape
        torch.Size([3, 2])
    """
    read: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, given: read.append(given[0].detach()))
    try:
        with torch.no_grad():
            run()
    finally:
        handle.remove()
    return read[0]
