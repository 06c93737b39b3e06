"""How far back a loss reaches through the states of a cell."""

import math

import numpy as np
import torch
from torch import Tensor

from seqmodels.inspection.jacobians import Array, normalised, to_array
from seqmodels.inspection.trajectories import Trajectory, random_directions
from seqmodels.sequence import length_mask


def memory_curve(
    found: Trajectory, output: Tensor | None = None, state: Tensor | None = None, *, seed: int = 0
) -> Array:
    """Return how much of the gradient of the last output arrives at each earlier state.

    Args:
        found: of :func:`~seqmodels.inspection.trajectory` with ``dtype=torch.float64``.
        output: gradient of the loss with respect to the outputs, ``(batch, time, output)``, of which the last that is
            not zero is propagated back; random directions by default.
        state: gradient of the loss with respect to the final state, ``(batch, state)``, where the network reads it.
        seed: of the random directions.

    Returns:
        Decimal logarithms of the norms of the gradient with respect to the state k + 1 steps before, relative to k = 0,
        ``(batch, time)``; NaN beyond the first step, and where the loss reads nothing of a sequence.

    Example:
        >>> from seqmodels.cells import ElmanCell
        >>> from seqmodels.inspection import trajectory
        >>> cell = ElmanCell(1, 1, activation="identity").double()
        >>> _ = torch.nn.init.constant_(cell.weight_hh, 0.1)
        >>> memory_curve(trajectory(cell, torch.zeros(1, 4, 1, dtype=torch.float64))).round(3)
        array([[ 0., -1., -2., -3.]])
    """
    last = found.lengths - 1
    if output is None and state is None:
        start, direction = last, random_directions(found.outputs[0], found.outputs[0].shape[-1], seed)
    else:
        start, direction = _last_gradient(found, output, state)
    cotangent = torch.zeros(len(last), found.state_size, dtype=direction.dtype, device=direction.device)
    if state is not None:
        cotangent = torch.where((start == last)[:, None], state.to(cotangent), cotangent)
    logs = torch.zeros_like(cotangent[:, 0])
    curve = torch.full((len(last), len(found.outputs)), torch.nan, dtype=logs.dtype, device=logs.device)
    for back in range(int(start.max()) + 1):
        at = (start - back).clamp(min=0)
        moved = found.pull_back(at, cotangent, output=direction if back == 0 else None)
        cotangent, growth = normalised(moved)
        logs = logs + growth if back else torch.zeros_like(logs)
        reached = (start - back >= 0) & (growth > -math.inf if back == 0 else True)
        curve[:, back] = torch.where(reached, logs, torch.nan)
    curve[curve[:, 0].isnan()] = torch.nan
    return to_array(curve) / math.log(10)


def half_life(curve: Array) -> Array:
    """Return the steps over which a gradient halves on average, for each row of :func:`memory_curve`, ``(batch,)``.

    It is infinite where the gradient does not shrink, and NaN for a row with fewer than two values.

    Args:
        curve: decimal logarithms of norms, ``(batch, time)``, NaN beyond the first step.

    Example:
        >>> half_life(np.log10([[1, 0.5, 0.25, np.nan], [1, 1, 1, 1]]))
        array([ 1., inf])
    """
    known = (~np.isnan(curve)).sum(1)
    last = curve[np.arange(len(curve)), np.maximum(known - 1, 0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = math.log10(2) * (known - 1) / (curve[:, 0] - last)
    found = np.where(curve[:, 0] - last > 0, found, np.inf)
    return np.where(known > 1, found, np.nan)


def _last_gradient(found: Trajectory, output: Tensor | None, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the last step of each row whose output or final state the loss reads, and the gradient of that output."""
    last = found.lengths - 1
    if output is None:
        return last, torch.zeros_like(found.outputs[0])
    output = output.to(found.outputs[0])
    read = (output != 0).flatten(2).any(2) & length_mask(found.lengths, output.shape[1])  # (batch, time)
    steps = torch.arange(output.shape[1], device=output.device)
    start = torch.where(read, steps, 0).amax(1)
    if state is not None:
        start = torch.where((state != 0).any(1), last, start)
    return start, output[torch.arange(len(start), device=start.device), start]
