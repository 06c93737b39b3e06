"""The portable executor: a program as a loop of torch operators, on any device and dtype, without a compiler.

Whatever does not hang on the carries is computed for many steps at once before the loop over them; in the backward pass
these are the local derivatives, so that the loop is left with multiply-adds and products. Time is taken in chunks, so
that what is computed at once stays in the cache. Apart from the cell's own output everything has time first in memory:
a step's rows lie together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from seqmodels.fusion.bulk import bulk, evaluate
from seqmodels.fusion.loop import Place, Sorted
from seqmodels.fusion.loop_text import SCOPE, Text
from seqmodels.fusion.products import outer, repeated, rows_of, turned
from seqmodels.fusion.program import Program, width
from seqmodels.fusion.values import Product, Value, is_number, number_of
from seqmodels.sequence import length_mask
from seqmodels.system.memory import room

CHUNK = 2**18
"""Numbers ``batch x hidden x steps`` that one chunk of time holds of each value: what fits a second-level cache."""

SMOOTH = 1024
"""Numbers from which on tanh is quicker in three operators, by way of the sigmoid, on CPUs and in fp32."""


class Loop:
    """A sorted program with its loop as a function.

    ``make(products, like)`` makes scratch and returns ``loop(early, rows, keep, *carries)``, which runs the steps of a
    chunk and returns the carries. ``products`` multiply by the program's weights: ``product(operand, added, out)``.
    ``early`` are rows, one a step (a tensor where it is the same for all); ``rows`` are those to write, for each of
    ``wanted`` one a step; ``keep`` has an entry a step, where the loop is ``masked`` the mask of rows that are still
    running. All are in the order in which the loop meets them.
    """

    def __init__(self, program: Program, *, smooth: bool, masked: bool) -> None:
        self.sorted = Sorted(program)
        text = Text(self.sorted, smooth, masked)
        self.text = text.source
        self.wanted: list[Place] = text.wanted
        self.early: list[Value] = text.read
        self.bulk = bulk(self.sorted.early)
        scope = dict(SCOPE)
        exec(self.text, scope)  # noqa: S102 - the text is generated above
        self.make: Callable[..., Callable[..., list[Any]]] = scope["make"]


loop_of = lru_cache(maxsize=512)(Loop)


class Portable:
    """Runs programs with torch operators."""

    def prepare(self, programs: Sequence[Program], dtype: torch.dtype) -> None:
        """Do nothing: a program is ready when it is run."""

    def run(
        self,
        program: Program,
        streams: Sequence[Tensor],
        carries: Sequence[Tensor],
        vectors: Sequence[Tensor],
        weights: Sequence[Tensor],
        lengths: Tensor | None,
        first: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Run a program over time.

        Args:
            program: what to run.
            streams: tensors ``(batch, time, width)``.
            carries: tensors ``(batch, width)`` before the first step (after the last, when the program runs backwards).
            vectors: tensors ``(width,)``.
            weights: matrices, as the program's products number them.
            lengths: ``(batch,)`` or None; a step past a row's length, which may be 0, is skipped: outputs 0,
                carries stand still.
            first: memory for the first output stream, when the program runs forwards; else it is made.

        Returns:
            The output streams ``(batch, time, width)``, the carries after the last step, the totals ``(width,)``.
        """
        like = streams[0]
        batch, time = like.shape[:2]
        smooth = like.dtype == torch.float32 and like.device.type == "cpu"
        smooth = smooth and batch * max(program.carries, default=1) >= SMOOTH
        loop = loop_of(program, smooth=smooth, masked=lengths is not None)
        size = min(time, max(8, CHUNK // max(1, batch * max(program.carries, default=1))))
        run = _Run(loop, size, [s.transpose(0, 1) for s in streams], carries, vectors, weights, first)
        real = None if lengths is None else length_mask(lengths.to(like.device), time).t().unsqueeze(-1)
        starts = range(0, time, size)
        carries = list(carries)
        for start in reversed(starts) if program.backwards else starts:
            piece = slice(start, min(start + size, time))
            carries = run.chunk(piece, carries, None if real is None else real[piece])
        ends = [carry.clone() for carry in carries]  # they lie in what is overwritten, or in what is handed out
        return run.outputs(time), ends, run.totals

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        """Return the gradient of a weight: operands, transposed, times the cotangent of their product.

        Args:
            operands: tensors ``(batch, time, width)``; their columns stand side by side.
            cotangent: ``(batch, time, columns)``.
            ones: whether a column of ones follows the operands: a bias.

        Returns:
            ``(sum of the widths, columns)``, and one row more for a bias: sums over all steps of all rows.
        """
        time_first = turned(cotangent)
        d = rows_of(cotangent, time_first)
        made = [outer(rows_of(operand, time_first), d) for operand in operands]
        return torch.cat([*made, d.sum(0, keepdim=True)] if ones else made)


class _Run:
    """The memory of one run, and the work of a chunk; all tensors here are ``(time, batch, width)``."""

    def __init__(
        self,
        loop: Loop,
        size: int,
        streams: Sequence[Tensor],
        carries: Sequence[Tensor],
        vectors: Sequence[Tensor],
        weights: Sequence[Tensor],
        first: Tensor | None,
    ) -> None:
        self._sorted: Sorted = loop.sorted
        self._loop, self._streams, self._vectors = loop, streams, vectors
        program, like = self._sorted.program, streams[0]
        time, batch = like.shape[:2]
        self._buffers: list[Tensor] = []
        self._output: Tensor | None = None
        for index, buffer in enumerate(self._sorted.buffers):
            if index == 0 and not program.backwards:  # the cell's own output is contiguous as it is handed out
                self._output = room((batch, time, buffer.width), like) if first is None else first
                self._buffers.append(self._output.transpose(0, 1))
                continue
            steps = size if buffer.total else time + (buffer.carry is not None)
            self._buffers.append(room((steps, batch, buffer.width), like))
            if buffer.carry is not None:
                self._buffers[-1][0].copy_(carries[buffer.carry])
        self.totals = [like.new_zeros(width(group)) for group in program.totals]
        self._steps = loop.make([_multiplier(p, weights, batch, time, like) for p in program.products], like[0])

    def outputs(self, time: int) -> list[Tensor]:
        """Return the output streams ``(batch, time, width)``."""
        found = [self._rows(place, slice(0, time)).transpose(0, 1) for place in self._sorted.outputs]
        return found if self._output is None else [self._output, *found[1:]]

    def chunk(self, piece: slice, carries: list[Tensor], keep: Tensor | None) -> list[Tensor]:
        """Run the steps of a piece of time; return the carries after it."""
        found, program = self._sorted, self._sorted.program
        streams = [s[piece] for s in self._streams]
        if keep is not None:  # what stands in the padding must not matter, not even as 0 * inf
            streams = [s.masked_fill(~keep, 0) for s in streams]
        known: dict[Value, Any] = {}
        for leaf in found.leaves:
            source = streams if leaf.op == "stream" else self._vectors
            index, offset = leaf.data
            known[leaf] = source[index][..., offset : offset + leaf.width]
        for value, derivative, arguments in self._loop.bulk:
            known[value] = derivative(*(known[a] for a in arguments)) if derivative else evaluate(value, known)
        order = -1 if program.backwards else 1
        early = [known[v] if v in found.still else known[v].unbind(0)[::order] for v in self._loop.early]
        rows = [self._rows(place, piece).unbind(0)[::order] for place in self._loop.wanted]
        steps = piece.stop - piece.start
        kept: Iterable[Any] = repeat(None, steps) if keep is None else keep.unbind(0)[::order]
        carries = self._steps(early, rows, kept, *carries)
        for written, wanted in found.copies:
            self._rows(wanted, piece).copy_(self._rows(written, piece))
        groups = zip((*found.outputs, *found.totals), (*program.outputs, *program.totals), strict=True)
        for place, group in groups:
            self._fill(place, group, known, piece)
        if keep is not None:
            for place in (place for place in found.outputs if place not in found.followed):
                self._rows(place, piece).masked_fill_(~keep, 0)
        for place, total in zip(found.totals, self.totals, strict=True):
            added = self._rows(place, piece)
            total.add_((added if keep is None else added.masked_fill(~keep, 0)).sum((0, 1)))
        return carries

    def _rows(self, place: Place, piece: slice) -> Tensor:
        """Return the part of a buffer that a place is in a piece of time."""
        first = 0 if self._sorted.buffers[place.buffer].total else piece.start
        steps = slice(first + place.shift, first + place.shift + piece.stop - piece.start)
        return self._buffers[place.buffer][steps, :, place.start : place.start + place.width]

    def _fill(self, place: Place, group: Sequence[Value], known: dict[Value, Any], piece: slice) -> None:
        """Write those values of an output that are no work of the loop."""
        start = place.start
        for value in group:
            if is_number(value):
                self._rows(replace(place, start=start, width=value.width), piece).fill_(number_of(value))
            elif value not in self._sorted.late:
                self._rows(replace(place, start=start, width=value.width), piece).copy_(known[value])
            start += value.width


def _multiplier(
    product: Product, weights: Sequence[Tensor], batch: int, time: int, like: Tensor
) -> Callable[[Tensor, Tensor | None, Tensor], object]:
    """Return a function ``(operand, added, out)`` that computes a product, plus what is added, into ``out``."""
    if not product.select:
        weight = weights[product.weight]
        return repeated(weight.t() if product.transposed else weight, batch, time)
    indices = torch.tensor([product.depth if i == -1 else i for i in product.select], device=like.device)

    def select(operand: Tensor, added: Tensor | None, out: Tensor) -> Tensor:
        if added is None:
            return torch.index_select(operand, -1, indices, out=out)
        return torch.add(operand.index_select(-1, indices), added, out=out)

    return select
