"""A pool of large memory blocks on the CPU.

PyTorch allocates large tensors from the operating system at every call. The system clears the memory and maps it page
by page on first touch, a good part of a training step where inputs are narrow and sequences long. This pool keeps freed
blocks and hands them out again, in huge pages (one page fault in place of 512). The system may reclaim free blocks when
it runs short. The pool exists on Linux only; elsewhere PyTorch allocates as usual.
"""

import contextlib
import mmap
import sys
import weakref
from math import prod

import torch
from torch import Tensor

LARGE = 4 << 20
"""Smallest block in bytes: the C library's allocator reuses smaller ones itself."""

KEPT = 1 << 30
"""Most bytes of free blocks that are kept; the least recently used are released first."""

HUGE = 2 << 20
"""Bytes of a huge page."""


class Pool:
    """Memory blocks that are lent to tensors and return when the last tensor that views them is freed.

    There is no lock: a block returns in whichever thread frees it, at any point of the program, so lists and dicts are
    only changed by operations that are atomic in the interpreter.
    """

    def __init__(self) -> None:
        self.idle: list[mmap.mmap] = []  # most recently returned last
        self._lent: dict[int, tuple[weakref.ref[memoryview], mmap.mmap]] = {}

    def take(self, size: int) -> memoryview:
        """Return ``size`` to ``2 * size`` bytes of uninitialised memory.

        Raises:
            OSError: the system has none left.
        """
        block = self._found(size) or _mapped(size)
        view = memoryview(block)
        lease = weakref.ref(view, self._return)
        self._lent[id(lease)] = lease, block
        return view

    def _found(self, size: int) -> mmap.mmap | None:
        fitting = [block for block in reversed(self.idle) if size <= len(block) <= 2 * size]
        for block in sorted(fitting, key=len):
            with contextlib.suppress(ValueError):  # another thread took it first
                self.idle.remove(block)
                return block
        return None

    def _return(self, lease: "weakref.ref[memoryview]") -> None:
        _, block = self._lent.pop(id(lease))
        with contextlib.suppress(OSError):
            block.madvise(mmap.MADV_FREE)
        self.idle.append(block)
        while sum(map(len, self.idle)) > KEPT:
            del self.idle[:1]  # unlike pop, fine if another thread emptied the list


def _mapped(size: int) -> mmap.mmap:
    block = mmap.mmap(-1, -(-size // HUGE) * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # only a hint
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


_pool = Pool() if sys.platform == "linux" else None


def empty_pooled(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return an uninitialised tensor of a shape, in the dtype and on the device of ``like``.

    Large tensors on the CPU come from the pool; they cannot be resized.

    Example:
        >>> import torch
        >>> empty_pooled((2, 3), torch.zeros(1)).shape
        torch.Size([2, 3])
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
    return flat.resize_(shape)  # not a view: autograd forbids in-place changes of a function's output views
