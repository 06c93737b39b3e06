"""Right-padded sequences: masks, reversal, and mapping over states. Shapes are ``(batch, time, ...)``."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Fixed(NamedTuple):
    """A tensor that is the same at every step and for every row, such as a weight with dropout applied once.

    ``Cell.project`` may return it among its ``(batch, time, ...)`` tensors; ``Cell.step`` receives it unchanged.
    """

    value: Tensor


class Shared(NamedTuple):
    """What all hypotheses of a sequence have in common, such as the source that they translate.

    A state of decoding has a row for each hypothesis; the tensors in here have one for each sequence of the batch, so
    that searching with many hypotheses does not copy them.
    """

    value: Any  # a tensor or a nested tuple of tensors


def length_mask(lengths: Tensor, time: int) -> Tensor:
    """Return a bool mask ``(batch, time)``, true where a step is real.

    Args:
        lengths: number of real steps of each sequence, ``(batch,)``.
        time: number of steps of the padded batch.

    Example:
        >>> length_mask(torch.tensor([3, 1]), 3).tolist()
        [[True, True, True], [True, False, False]]
    """
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def usable_lengths(lengths: Tensor, x: Tensor) -> Tensor:
    """Return lengths in [1, time] on the device of ``x``.

    Values on the CPU are checked. Reading them from an accelerator would make the host wait for it at every call, so
    there they are limited to that range instead: a wrong one must not make a kernel read outside of ``x``.

    Args:
        lengths: number of real steps of each sequence, integers ``(batch,)``.
        x: ``(batch, time, ...)``.

    Raises:
        ValueError: a length on the CPU is outside [1, time].

    Example:
        >>> usable_lengths(torch.tensor([3, 1]), torch.zeros(2, 3, 4)).tolist()
        [3, 1]
    """
    time, lengths = x.shape[1], lengths.long()
    compiling = torch.compiler.is_compiling()  # there are no values yet
    if x.device.type != "cpu" and (compiling or lengths.device.type != "cpu"):
        return lengths.to(x.device).clamp(1, time)
    if compiling:  # on the CPU the operators of the graph check them
        return lengths.to(x.device)
    lengths = lengths.cpu()
    shortest, longest = (int(bound) for bound in lengths.aminmax())
    if shortest < 1 or longest > time:
        row = int(((lengths < 1) | (lengths > time)).nonzero()[0])
        raise ValueError(f"lengths must lie in [1, {time}], the time of x; row {row} is {int(lengths[row])}")
    return lengths.to(x.device, non_blocking=True)


def constants(values: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers ``(n,)`` in the dtype and on the device of ``like``, written there by kernels.

    ``torch.tensor(values, device=...)`` copies them from the CPU instead, and the host waits for that copy.

    Args:
        values: at least one number.
        like: any tensor.

    Example:
        >>> constants((0.5, 2), torch.zeros(3))
        tensor([0.5000, 2.0000])
    """
    return torch.stack([like.new_full((), value) for value in values])


def reverse(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Reverse each sequence in time, leaving its padding at the end.

    Args:
        x: ``(batch, time, ...)``.
        lengths: number of real steps of each sequence, ``(batch,)``; all steps by default.

    Example:
        >>> reverse(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1])).tolist()
        [[3, 2, 1], [4, 0, 0]]
    """
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.to(x.device)[:, None] - 1
    index = torch.where(steps <= last, last - steps, steps)  # (batch, time)
    rows = torch.arange(x.shape[0], device=x.device)[:, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (rows + index).flatten()).view_as(x)


def last_step(y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return each sequence at its last real step, ``(batch, ...)``.

    Args:
        y: ``(batch, time, ...)``.
        lengths: number of real steps of each sequence, ``(batch,)``; all steps by default.

    Example:
        >>> last_step(torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1])).tolist()
        [3, 4]
    """
    if lengths is None:
        return y[:, -1]
    return y[torch.arange(y.shape[0], device=y.device), lengths.to(y.device) - 1]


def map_leaves(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply a function leaf by leaf to nested tuples, and return the results in the same structure.

    Args:
        function: takes one leaf of each tree.
        trees: nested tuples of one structure; :class:`Fixed` values in the first are returned unchanged.

    Example:
        >>> map_leaves(lambda a, b: a + b, (1, (2, 3)), (10, (20, 30)))
        (11, (22, 33))
    """
    first = trees[0]
    if isinstance(first, Fixed):
        return first
    if not isinstance(first, tuple):
        return function(*trees)
    parts = [map_leaves(function, *branches) for branches in zip(*trees, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def leaves(tree: Any) -> list[Tensor]:
    """Return the tensors of a nested tuple in order, except those inside :class:`Fixed`.

    Args:
        tree: a tensor or a nested tuple of tensors.

    Example:
        >>> len(leaves((torch.zeros(2), (torch.zeros(3), Fixed(torch.zeros(4))))))
        2
    """
    if isinstance(tree, Tensor):
        return [tree]
    found: list[Tensor] = []
    map_leaves(found.append, tree)
    return found


def at_step(projected: Any, step: int) -> Any:
    """Return what a cell's ``step`` receives at one time step: every leaf without its time dimension.

    Args:
        projected: leaves ``(batch, time, ...)``.
        step: the time step.

    Example:
        >>> at_step(torch.tensor([[1, 2, 3], [4, 5, 6]]), 1).tolist()
        [2, 5]
    """
    return map_leaves(lambda leaf: leaf[:, step], projected)


def unbind_steps(projected: Any) -> Sequence[Any]:
    """Return :func:`at_step` for every time step.

    It calls ``unbind`` once per leaf, whose derivative is one ``stack``; slicing would make a zero-padded gradient for
    each step.

    Args:
        projected: leaves ``(batch, time, ...)``.

    Example:
        >>> [step.tolist() for step in unbind_steps(torch.tensor([[1, 2], [3, 4]]))]
        [[1, 3], [2, 4]]
    """
    if isinstance(projected, Tensor):
        return projected.unbind(1)
    unbound = [leaf.unbind(1) for leaf in leaves(projected)]
    return [_with_leaves(projected, iter(step)) for step in zip(*unbound, strict=True)]


def _with_leaves(tree: Any, replacements: Iterator[Tensor]) -> Any:
    return map_leaves(lambda _: next(replacements), tree)
