"""Right-padded sequences: masks, reversal, and mapping over states. Shapes are ``(batch, time, ...)``."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Fixed(NamedTuple):
    """A tensor that is the same at every step and for every row: a weight that was dropped once for the sequence, say.

    ``Cell.project`` may return it among its ``(batch, time, ...)`` tensors; ``Cell.step`` receives it unchanged.
    """

    value: Tensor


def length_mask(lengths: Tensor, time: int) -> Tensor:
    """Return a bool mask ``(batch, time)``, true where a step is real."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def reverse(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Reverse each sequence of ``x (batch, time, ...)`` in time, leaving its padding at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.to(x.device)[:, None] - 1
    index = torch.where(steps <= last, last - steps, steps)  # (batch, time)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index]


def map_leaves(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply ``function`` leaf by leaf to nested tuples of one structure; :class:`Fixed` values are left as they are."""
    first = trees[0]
    if isinstance(first, Fixed):
        return first
    if not isinstance(first, tuple):
        return function(*trees)
    parts = [map_leaves(function, *branches) for branches in zip(*trees, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def leaves(tree: Any) -> list[Tensor]:
    """Return the tensors of a nested tuple in order, those inside :class:`Fixed` not among them."""
    found: list[Tensor] = []
    map_leaves(found.append, tree)
    return found


def at_step(projected: Any, step: int) -> Any:
    """Return what a cell's ``step`` receives at time ``step``: every ``(batch, time, ...)`` leaf without its time."""
    return map_leaves(lambda leaf: leaf[:, step], projected)
