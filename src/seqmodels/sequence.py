"""Right-padded sequences: masks, reversal, and mapping over states. Shapes are ``(batch, time, ...)``."""

from collections.abc import Callable, Iterator, Sequence
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
    rows = torch.arange(x.shape[0], device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (rows + index).flatten()).view_as(x)


def last_step(y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return ``y (batch, time, ...)`` at the last real step of each sequence, ``(batch, ...)``."""
    if lengths is None:
        return y[:, -1]
    return y[torch.arange(y.shape[0], device=y.device), lengths.to(y.device) - 1]


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


def unbind_steps(projected: Any) -> Sequence[Any]:
    """Return what a cell's ``step`` receives at every time, as ``at_step`` would give it.

    One ``unbind`` for each leaf: its derivative is one ``stack``, where slicing leaves a zero-padded gradient per step.
    """
    if isinstance(projected, Tensor):
        return projected.unbind(1)
    unbound = [leaf.unbind(1) for leaf in leaves(projected)]
    return [_with_leaves(projected, iter(step)) for step in zip(*unbound, strict=True)]


def _with_leaves(tree: Any, replacements: Iterator[Tensor]) -> Any:
    return map_leaves(lambda _: next(replacements), tree)
