"""Watch every ``unroll`` of a block of code: what runs over which sequences, in networks of any kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from torch import Tensor

from seqmodels.cells.base import Cell


class Unrolling(NamedTuple):
    """A checked call of :func:`~seqmodels.backends.unroll`, in the order in which it reads time."""

    cell: Cell[Any]  # as given, wrappers included
    x: Tensor  # (batch, time, input), reversed if it is read backwards; 0 past a length
    state: Any  # before the first step
    lengths: Tensor | None  # (batch,); None if no row is padded
    resets: Tensor | None  # (batch, time) bool; None if no row starts again
    restart: Any  # the state that rows start again from; None if there are no resets
    reverse: bool  # whether each row is read from its last step to its first
    run: Callable[[], tuple[Tensor, Any]]  # the back-end: outputs in the order of reading, and the final state


Watcher = Callable[[Unrolling], tuple[Tensor, Any]]
"""Returns outputs ``(batch, time, output)``, 0 past a length, and the final state: what ``run`` returns, or its own."""

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Pass every ``unroll`` of this thread inside the block to ``watcher``, in place of its back-end.

    Calls in a graph of ``torch.compile`` or ``torch.export`` are not passed on.

    Args:
        watcher: takes an :class:`Unrolling` and returns what its ``run`` does.

    Example:
        >>> import torch
        >>> from seqmodels.backends import unroll
        >>> from seqmodels.cells import GRUCell
        >>> def shown(call):
        ...     print(type(call.cell).__name__, tuple(call.x.shape))
        ...     return call.run()
        >>> with watching(shown):
        ...     y, state = unroll(GRUCell(4, 5), torch.zeros(3, 7, 4))
        GRUCell (3, 7, 4)
    """
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def watcher() -> Watcher | None:
    """Return the function that runs every ``unroll`` at this point, None outside :func:`watching`."""
    return _WATCHER.get()
