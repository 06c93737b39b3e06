"""The portable executor: a program as a loop of torch operators, on any device and dtype, without a compiler.

Whatever does not hang on the carries is computed for many steps at once before the loop over them; in the backward pass
these are the local derivatives, so that the loop is left with multiply-adds and products. Time is taken in chunks, so
that what is computed at once stays in the cache.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from seqmodels.fusion.loop import Loop, is_number, number_of
from seqmodels.fusion.memory import room
from seqmodels.fusion.program import Program, width
from seqmodels.fusion.values import Value, evaluate
from seqmodels.sequence import length_mask

CHUNK = 2**18
"""Numbers ``batch x hidden x steps`` that one chunk of time holds of each value: what fits a second-level cache."""

_loop = lru_cache(maxsize=256)(Loop)


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

        Returns:
            The output streams ``(batch, time, width)``, the carries after the last step, the totals ``(width,)``.
        """
        loop, like = _loop(program), streams[0]
        batch, time = like.shape[:2]
        outputs = [room((batch, time, width(group)), like) for group in program.outputs]
        totals = [like.new_zeros(width(group)) for group in program.totals]
        real = None if lengths is None else length_mask(lengths.to(like.device), time).unsqueeze(-1)
        matrices = [weights[p.weight].t() if p.transposed else weights[p.weight] for p in loop.products]
        size = max(8, CHUNK // max(1, batch * max(program.carries, default=1)))
        starts = range(0, time, size)
        carries = list(carries)
        for start in reversed(starts) if program.backwards else starts:
            piece = slice(start, start + size)
            keep = None if real is None else real[:, piece]
            given = [s[:, piece] for s in streams]
            if keep is not None:  # what stands in the padding must not matter, not even as 0 * inf
                given = [s.masked_fill(~keep, 0) for s in given]
            written, carries = self._chunk(loop, given, carries, vectors, matrices, keep)
            for group, output in zip(loop.outputs, outputs, strict=True):
                _write(group, written, output[:, piece], keep)
            for group, total in zip(loop.totals, totals, strict=True):
                rows = room((batch, given[0].shape[1], width(group)), like)
                _write(group, written, rows, keep)
                total.add_(rows.sum((0, 1)))
        return outputs, carries, totals

    def _chunk(
        self,
        loop: Loop,
        streams: Sequence[Tensor],
        carries: list[Tensor],
        vectors: Sequence[Tensor],
        matrices: list[Tensor],
        keep: Tensor | None,
    ) -> tuple[dict[Value, Any], list[Tensor]]:
        """Run the steps of a chunk; return what they wrote (by value a tensor, or a list of rows) and the carries."""
        known: dict[Value, Any] = {}
        for leaf in loop.leaves:
            source = streams if leaf.op == "stream" else vectors
            index, offset = leaf.data
            known[leaf] = source[index][..., offset : offset + leaf.width]
        early = [evaluate(value, known) for value in loop.early]
        per_step = [e.unbind(1) if e.dim() == 3 else e for e in early]
        time = streams[0].shape[1]
        steps = range(time - 1, -1, -1) if loop.backwards else range(time)
        kept = None if keep is None else keep.unbind(1)
        rows, carries = loop.run(steps, per_step, carries, matrices, kept, streams[0])
        written: dict[Value, Any] = dict(zip(loop.early, early, strict=True))
        written |= {v: r[::-1] if loop.backwards else r for v, r in zip(loop.late, rows, strict=True)}
        return written, carries


def _write(group: Sequence[Value], written: dict[Value, Any], output: Tensor, keep: Tensor | None) -> None:
    """Put values side by side into ``output (batch, time, width)``."""
    start = 0
    for value in group:
        place = output[..., start : start + value.width]
        if is_number(value):
            place.fill_(number_of(value))
        elif isinstance(written[value], list):
            torch.stack(written[value], 1, out=place)
        else:
            place.copy_(written[value])
        start += value.width
    if keep is not None:
        output.masked_fill_(~keep, 0)
