"""Comparing what was exported with the model, before it is written."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqmodels.errors import ConfigError
from seqmodels.exporting.interface import Graph

TOLERANCE = 1e-5
"""Largest difference that an export in float32 may have, see :func:`largest_difference`."""
LENGTHS = (1, 6, 13)
BATCHES = (1, 3)

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""Runs an exported graph: from the tensors of its inputs to those of its outputs."""


def largest_difference(graph: Graph, run: Run) -> float:
    """Return the largest difference between outputs of an exported graph and of the model.

    Both get the same random inputs, rows of mixed lengths, at each of three lengths and two batch sizes. A difference
    is relative to the largest number of the model's output, or to 1 where that is smaller.

    Args:
        graph: the model.
        run: runs what was exported.

    Returns:
        The difference: infinite where shapes, whole numbers or truth values differ, or only one of the two is NaN.
    """
    worst = 0.0
    for batch in BATCHES:
        for time in LENGTHS:
            inputs = graph.examples(batch, time, seed=time)
            with torch.no_grad():
                expected = graph.module(*inputs)
            for found, wanted in zip(run(inputs), expected, strict=True):
                worst = max(worst, difference_of(found, wanted))
    return worst


def check(graph: Graph, run: Run, tolerance: float, what: str) -> float:
    """Return :func:`largest_difference`.

    Args:
        graph, run: as there.
        tolerance: the largest that is accepted.
        what: runs the graph, for the message.

    Raises:
        ConfigError: it is larger.
    """
    found = largest_difference(graph, run)
    if not found <= tolerance:
        raise ConfigError(
            f"{what} computes the {graph.name} with a difference of {found:.2g} from the model, which is more than "
            f"tolerance={tolerance:g}: nothing was written"
        )
    return found


def difference_of(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference of two tensors, as :func:`largest_difference` counts it."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return torch.inf
    if not wanted.is_floating_point():
        return 0.0 if torch.equal(found, wanted) else torch.inf
    if wanted.numel() == 0:
        return 0.0
    same = (found == wanted) | (found.isnan() & wanted.isnan())  # infinities are equal, their difference is not 0
    apart = torch.where(same, 0, found - wanted).abs()
    finite = wanted[wanted.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    return float(apart.nan_to_num(nan=torch.inf).max()) / scale
