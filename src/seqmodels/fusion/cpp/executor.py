"""Running compiled programs: addresses, strides, threads."""

import os
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from seqmodels.fusion.cpp.build import Library, library
from seqmodels.fusion.cpp.driver import weights_of
from seqmodels.fusion.cpp.emit import outer_source, source
from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.layout import is_time_first
from seqmodels.fusion.portable.executor import Portable
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import width
from seqmodels.system.memory import empty_pooled

KEPT = 1024
"""Most compiled programs that are kept in memory; the oldest is dropped first, and is still in the cache on disk."""

LINE = 64
"""Bytes of a cache line, and of the longest vector."""

REALS = {torch.float32: "float", torch.float64: "double"}


class Cpp:
    """Runs programs as compiled C++ on the CPU; see :class:`~seqmodels.fusion.executor.Executor` for the methods."""

    def __init__(self) -> None:
        self._portable = Portable()

    def prepare(self, programs: Sequence[Program], arguments: Arguments) -> None:
        """Compile programs, several at a time where there are processors for it."""
        dtype = arguments.streams[0].dtype
        if dtype not in _outers or not all((program, dtype) in _kernels for program in programs):
            with ThreadPoolExecutor(len(programs) + 1) as pool:
                outer = pool.submit(_outer, dtype)
                list(pool.map(lambda program: _kernel(program, dtype), programs))
                outer.result()

    def run(self, program: Program, arguments: Arguments) -> Results:
        streams, carries, vectors, weights, lengths, resets, restart, first, apart = arguments
        like = streams[0]
        batch, time = like.shape[:2]
        kernel, used = _kernel(program, like.dtype)
        threads = _threads(batch)
        if apart:
            outputs = [empty_pooled((batch, time, width(group)), like) for group in program.outputs]
        else:
            outputs = _outputs(program, like, first, shifting=resets is None)
        if lengths is not None:  # skipped steps are not written
            for output in outputs:
                output.zero_()
        ends = [like.new_empty(batch, size) for size in program.carries]
        summed = [like.new_zeros(batch, size) for size in program.carries if program.backwards and resets is not None]
        totals = [like.new_zeros(batch, width(group)) for group in program.totals]
        scratch = like.new_empty(kernel.scratch(batch, threads))
        order, limits = _order(batch, threads, lengths)

        streams = [s if s.stride(-1) == 1 or s.shape[-1] == 1 else s.contiguous() for s in streams]
        carries = [c if c.stride(-1) == 1 or c.shape[-1] == 1 else c.contiguous() for c in carries]
        restart = [c.contiguous() for c in restart]
        vectors = [v.contiguous() for v in vectors]
        call = array("q", (batch, time, threads, order.data_ptr(), 0 if limits is None else limits.data_ptr()))
        call.extend((0, 0, 0) if resets is None else (resets.data_ptr(), *resets.stride()))
        call.append(scratch.data_ptr())
        for s in streams:
            call.extend((s.data_ptr(), s.stride(0), s.stride(1)))
        # with resets: the state that rows go back to or, backwards, the gradients of that state
        restarts = [(r.data_ptr(), r.stride(0)) for r in restart or summed] or [(0, 0)] * len(ends)
        for c, r, e in zip(carries, restarts, ends, strict=True):
            call.extend((c.data_ptr(), c.stride(0), *r, e.data_ptr()))
        call.extend(v.data_ptr() for v in vectors)
        for w in (weights[number] for number in used):
            call.extend((w.data_ptr(), w.stride(0), w.stride(1)))
        for o in outputs:
            call.extend((o.data_ptr(), o.stride(0), o.stride(1)))
        call.extend(t.data_ptr() for t in totals)
        kernel.run(call)
        return Results(outputs, ends, [t.sum(0) for t in totals], summed)

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        if not torch.backends.mkl.is_available():  # other BLAS libraries may use units that C++ cannot reach (Apple's)
            return self._portable.outer(operands, cotangent, ones=ones)
        rows, columns = cotangent.shape[0] * cotangent.shape[1], cotangent.shape[2]
        one = cotangent.new_ones(1).expand(*cotangent.shape[:2], 1)
        sides = [side if side.stride(-1) == 1 else side.contiguous() for side in operands] + [one] * ones
        widths = [side.shape[-1] for side in sides]
        near, far = (0, 1) if is_time_first(cotangent) else (1, 0)
        code, threads = _outer(cotangent.dtype), _threads(rows)
        result = cotangent.new_zeros(sum(widths), columns)
        scratch = cotangent.new_empty(code.scratch(sum(widths) + LINE * len(sides), threads))
        group = cotangent.shape[near]
        call = array("q", (rows, group, threads))
        call.extend((cotangent.data_ptr(), cotangent.stride(far), cotangent.stride(near), columns))
        call.extend((result.data_ptr(), scratch.data_ptr(), len(sides)))
        for side, size in zip(sides, widths, strict=True):
            call.extend((side.data_ptr(), side.stride(far), side.stride(near), size, group))
        code.run(call)
        return result


_kernels: dict[tuple[Program, torch.dtype], tuple[Library, list[int]]] = {}


def _kernel(program: Program, dtype: torch.dtype) -> tuple[Library, list[int]]:
    """Return the kernel of a program, and which weights it takes."""
    key = (program, dtype)
    if key not in _kernels:
        if len(_kernels) >= KEPT:
            _kernels.pop(next(iter(_kernels)), None)
        _kernels[key] = library(source(program, REALS[dtype])), weights_of(program)
    return _kernels[key]


_outers: dict[torch.dtype, Library] = {}


def _outer(dtype: torch.dtype) -> Library:
    if dtype not in _outers:
        _outers[dtype] = library(outer_source(REALS[dtype]))
    return _outers[dtype]


def _outputs(program: Program, like: Tensor, first: Tensor | None = None, *, shifting: bool = True) -> list[Tensor]:
    """Return output streams in the layout of ``like (batch, time, width)``; the cell's own is contiguous.

    In a forward program all but the first share one buffer, so that a step of a row is one piece of memory: wide ones
    first, each aligned to a cache line, since a vector that straddles two lines is loaded twice. A carry after a step
    is the carry before the next one: where both are outputs, they are one stream with one more step, if
    ``shifting``.
    """
    batch, time = like.shape[:2]
    sizes = [width(group) for group in program.outputs]

    def stream(time: int, size: int) -> Tensor:
        return (
            empty_pooled((time, batch, size), like).transpose(0, 1)
            if is_time_first(like)
            else empty_pooled((batch, time, size), like)
        )

    if program.backwards:  # autograd hands them out one by one: each has memory of its own
        return [stream(time, size) for size in sizes]
    shifted = program.shifted() if shifting else {}
    places, end = dict[int, int](), 0
    line = LINE // like.element_size()
    for index in sorted(range(1, len(sizes)), key=lambda i: sizes[i] < line):
        if index not in shifted:
            places[index] = end
            end += sizes[index] if sizes[index] < line else -(-sizes[index] // line) * line
    kept = stream(time + bool(shifted), -(-end // line) * line)

    def output(index: int) -> Tensor:
        step, at = int(index in shifted), places[shifted.get(index, index)]
        return kept[:, step : step + time, at : at + sizes[index]]

    first = empty_pooled((batch, time, sizes[0]), like) if first is None else first
    return [first, *(output(index) for index in range(1, len(sizes)))]


def _order(batch: int, threads: int, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the rows in the order in which threads take them, each thread's longest first, and the lengths."""
    if lengths is None:
        return torch.arange(batch, device="cpu"), None
    limits = lengths.to(device="cpu", dtype=torch.int64).contiguous()
    longest = limits.argsort(descending=True)
    return torch.cat([longest[k::threads] for k in range(threads)]), limits


_forked = False


def _note_fork() -> None:
    global _forked  # noqa: PLW0603 - OpenMP's threads did not survive the fork; a child must not wait for them
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _threads(batch: int) -> int:
    return 1 if _forked else max(1, min(torch.get_num_threads(), batch))
