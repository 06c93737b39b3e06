"""Large pieces of memory on the CPU that are used again.

PyTorch asks the system for large memory anew at every call. The system clears it and hands it out page by page as it is
first touched, which takes a good part of a training step where inputs are narrow and sequences long. What nobody uses
any more is therefore kept here and handed out again, in huge pages, which take one fault where others take 512. The
system may take back what is kept whenever it runs short. All this on Linux; elsewhere memory is PyTorch's.
"""

import contextlib
import mmap
import sys
import weakref
from math import prod

import torch
from torch import Tensor

LARGE = 4 << 20
"""Bytes from which on memory is kept: smaller pieces are used again by the system's own allocator."""

KEPT = 1 << 30
"""Bytes that are kept at most while nobody uses them; what was used last is kept longest."""

HUGE = 2 << 20
"""Bytes of a huge page."""


class Pool:
    """Pieces of memory that are lent to tensors, and come back when the last tensor that looks at them is gone.

    Lists and dicts change by single operations of the interpreter: a piece comes back in whatever thread drops it, in
    the middle of anything, so that there is no lock to hold.
    """

    def __init__(self) -> None:
        self.idle: list[mmap.mmap] = []  # what came back last is last
        self._lent: dict[int, tuple[weakref.ref[memoryview], mmap.mmap]] = {}

    def take(self, size: int) -> memoryview:
        """Return ``size`` bytes, or up to twice as many, whatever stands in them.

        Raises:
            OSError: the system has none.
        """
        piece = self._found(size) or _mapped(size)
        view = memoryview(piece)
        lease = weakref.ref(view, self._back)
        self._lent[id(lease)] = lease, piece
        return view

    def _found(self, size: int) -> mmap.mmap | None:
        fitting = [piece for piece in reversed(self.idle) if size <= len(piece) <= 2 * size]
        for piece in sorted(fitting, key=len):
            with contextlib.suppress(ValueError):  # another thread was quicker
                self.idle.remove(piece)
                return piece
        return None

    def _back(self, lease: "weakref.ref[memoryview]") -> None:
        _, piece = self._lent.pop(id(lease))
        with contextlib.suppress(OSError):
            piece.madvise(mmap.MADV_FREE)
        self.idle.append(piece)
        while sum(map(len, self.idle)) > KEPT:
            del self.idle[:1]  # as pop would, but for a list that another thread has emptied


def _mapped(size: int) -> mmap.mmap:
    piece = mmap.mmap(-1, -(-size // HUGE) * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # advice: nothing is lost where the system does not take it
        piece.madvise(mmap.MADV_HUGEPAGE)
    return piece


_pool = Pool() if sys.platform == "linux" else None


def room(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return uninitialised memory of a shape, in the dtype and on the device of ``like``.

    Large memory on the CPU comes from what is kept; it cannot be resized.
    """
    size = prod(shape) * like.element_size()
    if _pool is None or size < LARGE or like.device.type != "cpu":
        return like.new_empty(shape)
    try:
        view = _pool.take(size)
    except OSError:
        _pool.idle.clear()
        return like.new_empty(shape)
    flat = torch.frombuffer(view, dtype=like.dtype, count=prod(shape))
    return flat.resize_(shape)  # no view: autograd would let nobody change it in place as the output of a function
