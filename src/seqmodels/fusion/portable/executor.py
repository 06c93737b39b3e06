"""Running programs with torch operators: in bulk where values do not depend on the carries, else in a generated loop.

In the backward pass the local derivatives are computed in bulk, so that the loop is left with multiply-adds and
products. Time is taken in chunks, so that what is computed in bulk stays in the cache. Apart from the cell's own output
everything is time first in memory: a step's rows lie together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from typing import cast

import torch
from torch import Tensor

from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.layout import is_time_first, rows_of
from seqmodels.fusion.matmul import Multiply, outer, repeated
from seqmodels.fusion.ops import Op
from seqmodels.fusion.portable.buffers import Place, lay_out
from seqmodels.fusion.portable.bulk import bulk, evaluate
from seqmodels.fusion.portable.loop_plan import LoopPlan
from seqmodels.fusion.portable.loop_writer import SCOPE, LoopWriter
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Product, Selection, Value, width
from seqmodels.sequence import length_mask
from seqmodels.system.memory import empty_pooled

CHUNK = 2**18
"""Numbers ``batch * hidden * steps`` that one chunk of time holds of each value: what fits a second-level cache."""

LAUNCHED = 2**22
"""The same on an accelerator: with a chunk in a cache of the CPU it would mostly launch kernels for little work."""

SMOOTH = 1024
"""Fewest numbers per step for which tanh is faster by way of the sigmoid, in three operators, on CPUs in fp32."""

Rows = Tensor | Sequence[Tensor]
"""A value that is the same at every step, or its rows step by step."""
Steps = Callable[..., list[Tensor]]


class Loop:
    """A program whose loop is a Python function.

    ``make(products, like)`` allocates scratch and returns ``loop(early, rows, keep, resets, starts, *carries)``, which
    runs the steps of a chunk and returns the carries. ``products`` are one :data:`~seqmodels.fusion.matmul.Multiply`
    for each product of the program. ``early`` are early values, in the order of ``early_values``. ``rows`` are the rows
    to write, one per step, for each of ``places``. ``keep`` has an entry for each step: in a ``masked`` loop a mask of
    the rows of the batch that have not ended, else it is ignored. So has ``resets``: in a loop with ``resets`` a mask
    of the rows that are reset before the step, or None if none is. ``starts`` are the carries that these start from;
    if the program runs backwards, the sums to which their cotangents are added.
    """

    def __init__(self, program: Program, *, smooth: bool, masked: bool, resets: bool = False) -> None:
        self.plan = LoopPlan(program)
        self.layout = lay_out(self.plan, apart=resets)
        source = LoopWriter(self.plan, self.layout, smooth=smooth, masked=masked, resets=resets).write()
        self.text, self.places, self.early_values = source.text, source.places, source.early
        self.bulk = bulk(self.plan.early)
        scope: dict[str, object] = dict(SCOPE)
        exec(self.text, scope)  # noqa: S102 - the text is generated above
        self.make = cast("Callable[..., Steps]", scope["make"])


loop_of = lru_cache(maxsize=512)(Loop)


class Portable:
    """Runs programs with torch operators; see :class:`~seqmodels.fusion.executor.Executor` for the methods."""

    def prepare(self, programs: Sequence[Program], arguments: Arguments) -> None:
        """Do nothing: a program is ready when it is run."""

    def run(self, program: Program, arguments: Arguments) -> Results:
        like, lengths = arguments.streams[0], arguments.lengths
        batch, time = like.shape[:2]
        smooth = like.dtype == torch.float32 and like.device.type == "cpu"
        smooth = smooth and batch * max(program.carries, default=1) >= SMOOTH
        resets = arguments.resets
        loop = loop_of(program, smooth=smooth, masked=lengths is not None, resets=resets is not None)
        numbers = CHUNK if like.device.type == "cpu" else LAUNCHED
        size = min(time, max(8, numbers // max(1, batch * max(program.carries, default=1))))
        run = _Run(loop, size, arguments)
        real = None if lengths is None else length_mask(lengths.to(like.device), time).t().unsqueeze(-1)
        flags = None if resets is None else resets.t().unsqueeze(-1)
        flags = flags if flags is None or real is None else flags & real
        starts = range(0, time, size)
        carries = list(arguments.carries)
        for start in reversed(starts) if program.backwards else starts:
            piece = slice(start, min(start + size, time))
            carries = run.chunk(piece, carries, *(None if mask is None else mask[piece] for mask in (real, flags)))
        ends = [carry.clone() for carry in carries]  # they lie in what is overwritten, or in what is handed out
        return Results(run.outputs(time), ends, run.totals, run.starts if program.backwards else [])

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        time_first = is_time_first(cotangent)
        d = rows_of(cotangent, time_first)
        gradients = [outer(rows_of(operand, time_first), d) for operand in operands]
        parts = [*gradients, d.sum(0, keepdim=True)] if ones else gradients
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Run:
    """The memory of one run, and the work of a chunk; all tensors here are ``(time, batch, width)``."""

    def __init__(self, loop: Loop, size: int, arguments: Arguments) -> None:
        self._plan, self._layout, self._loop, self._vectors = loop.plan, loop.layout, loop, arguments.vectors
        self._streams = [s.transpose(0, 1) for s in arguments.streams]
        program, like = loop.plan.program, self._streams[0]
        time, batch = like.shape[:2]
        self._buffers: list[Tensor] = []
        self._output: Tensor | None = None
        for index, buffer in enumerate(self._layout.buffers):
            if index == 0 and not program.backwards:  # the cell's own output is contiguous as it is handed out
                first = arguments.first
                self._output = empty_pooled((batch, time, buffer.width), like) if first is None else first
                self._buffers.append(self._output.transpose(0, 1))
                continue
            steps = size if buffer.total else time + (buffer.carry is not None)
            self._buffers.append(empty_pooled((steps, batch, buffer.width), like))
            if buffer.carry is not None:
                self._buffers[-1][0].copy_(arguments.carries[buffer.carry])
        summed = program.backwards and arguments.resets is not None
        self.starts = [torch.zeros_like(carry) for carry in arguments.carries] if summed else list(arguments.restart)
        self.totals = [like.new_zeros(width(group)) for group in program.totals]
        multipliers = [_multiplier(p, arguments.weights, batch, time, like) for p in program.products]
        self._steps = loop.make(multipliers, like[0])

    def outputs(self, time: int) -> list[Tensor]:
        """Return the output streams ``(batch, time, width)``."""
        found = [self._rows(place, slice(0, time)).transpose(0, 1) for place in self._layout.outputs]
        return found if self._output is None else [self._output, *found[1:]]

    def chunk(self, piece: slice, carries: list[Tensor], keep: Tensor | None, flags: Tensor | None) -> list[Tensor]:
        """Run the steps of a piece of time; return the carries after it.

        Args:
            piece: the steps.
            carries: before them, ``(batch, width)``.
            keep: which rows have not ended ``(steps, batch, 1)``; None for all.
            flags: which rows are reset before a step ``(steps, batch, 1)``; None for none.
        """
        plan, layout, program = self._plan, self._layout, self._plan.program
        known = self._in_bulk(piece, keep)
        order = -1 if program.backwards else 1
        early: list[Rows] = [
            known[v] if v in plan.time_invariant else known[v].unbind(0)[::order] for v in self._loop.early_values
        ]
        rows = [self._rows(place, piece).unbind(0)[::order] for place in self._loop.places]
        nothing = repeat(None, piece.stop - piece.start)
        kept: Iterable[Tensor | None] = nothing if keep is None else keep.unbind(0)[::order]
        resets: Iterable[Tensor | None] = repeat(None) if flags is None else _where_any(flags)[::order]
        carries = self._steps(early, rows, kept, resets, self.starts, *carries)
        for written, wanted in layout.copies:
            self._rows(wanted, piece).copy_(self._rows(written, piece))
        groups = zip((*layout.outputs, *layout.totals), (*program.outputs, *program.totals), strict=True)
        for place, group in groups:
            self._fill(place, group, known, piece)
        if keep is not None:
            for place in (place for place in layout.outputs if place not in layout.unmasked):
                self._rows(place, piece).masked_fill_(~keep, 0)
        for place, total in zip(layout.totals, self.totals, strict=True):
            added = self._rows(place, piece)
            total.add_((added if keep is None else added.masked_fill(~keep, 0)).sum((0, 1)))
        return carries

    def _in_bulk(self, piece: slice, keep: Tensor | None) -> dict[Value, Tensor]:
        """Compute the early values of a piece of time."""
        streams = [s[piece] for s in self._streams]
        if keep is not None:  # what the padding holds must not matter, not even as 0 * inf
            streams = [s.masked_fill(~keep, 0) for s in streams]
        known: dict[Value, Tensor] = {}
        for leaf in self._plan.inputs:
            index, start = leaf.columns
            source = streams if leaf.op is Op.STREAM else self._vectors
            known[leaf] = source[index][..., start : start + leaf.width]
        for value, derivative, arguments in self._loop.bulk:
            known[value] = derivative(*(known[a] for a in arguments)) if derivative else evaluate(value, known)
        return known

    def _rows(self, place: Place, piece: slice) -> Tensor:
        """Return the part of a buffer that a place is in a piece of time."""
        first = 0 if self._layout.buffers[place.buffer].total else piece.start
        steps = slice(first + place.shift, first + place.shift + piece.stop - piece.start)
        return self._buffers[place.buffer][steps, :, place.start : place.start + place.width]

    def _fill(self, place: Place, group: Sequence[Value], known: dict[Value, Tensor], piece: slice) -> None:
        """Write those values of an output that the loop does not compute."""
        start = place.start
        for value in group:
            if value.is_number:
                self._rows(replace(place, start=start, width=value.width), piece).fill_(value.number)
            elif value not in self._plan.late:
                self._rows(replace(place, start=start, width=value.width), piece).copy_(known[value])
            start += value.width


def _where_any(masks: Tensor) -> list[Tensor | None]:
    """Return masks step by step; None where a mask is empty, which only a CPU tells without waiting for it."""
    steps = masks.unbind(0)
    if masks.device.type != "cpu":
        return [*steps]
    return [mask if some else None for mask, some in zip(steps, masks.flatten(1).any(1).tolist(), strict=True)]


def _multiplier(
    product: Product | Selection, weights: Sequence[Tensor], batch: int, time: int, like: Tensor
) -> Multiply:
    """Return a function that computes a product or selection many times."""
    if isinstance(product, Product):
        weight = weights[product.weight]
        return repeated(weight.t() if product.transposed else weight, batch, time)
    indices = _columns(product, like.device)

    def select(operand: Tensor, added: Tensor | None, out: Tensor) -> Tensor:
        if added is None:
            return torch.index_select(operand, -1, indices, out=out)
        return torch.add(operand.index_select(-1, indices), added, out=out)

    return select


@lru_cache(maxsize=512)
def _columns(selection: Selection, device: torch.device) -> Tensor:
    """Return the columns of a selection; copying them to an accelerator, for which the host waits, is done once."""
    zero = width(selection.operand)  # the column of zeros after the operand's
    return torch.tensor([zero if i == -1 else i for i in selection.columns], device=device)
