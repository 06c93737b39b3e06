"""Running programs as kernels on a GPU."""

from array import array
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_int32
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.fusion.cuda.card import Card, Kernel, card_of
from seqmodels.fusion.cuda.cuts import choices, more_rows, widest
from seqmodels.fusion.cuda.emit import Source
from seqmodels.fusion.cuda.layout import BYTES
from seqmodels.fusion.executor import Arguments, Results
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.layout import is_time_first
from seqmodels.fusion.portable.executor import Portable
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import width

WORDS = 500
"""Most arguments of a kernel, of 8 bytes: a GPU takes 4 KB."""

TRIES = 3
"""Most choices of how to cut a program that are compiled."""

KEPT = 1024
"""Most kernels that are kept in memory; the oldest is dropped first, and is still in the cache on disk."""

GAVE_UP = (
    "a kernel waited for a number that never came, and gave up: results since the last check are wrong. Please report "
    "this with the GPU and driver; backend='eager' does without these kernels"
)


def is_for(dtype: torch.dtype) -> bool:
    """Return whether GPUs of this build of torch can run kernels in a dtype; float32 only by products of TF32.

    ``torch.backends.cuda.matmul.fp32_precision`` allows those, and so does ``torch.set_float32_matmul_precision``.
    """
    if dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision != "tf32":
        return False
    return dtype in BYTES and torch.version.cuda is not None


class Cuda:
    """Runs programs as one kernel a sequence; see :class:`~seqmodels.fusion.executor.Executor` for the methods."""

    def __init__(self, card: Card | None = None) -> None:
        self._given = card
        self._portable = Portable()
        self._kernels: dict[_Key, _Built | BuildFailed] = {}
        self._status: dict[torch.device, Tensor] = {}

    def prepare(self, programs: Sequence[Program], arguments: Arguments) -> None:
        """Compile programs, all at once."""
        like, ragged = arguments.streams[0], arguments.lengths is not None or arguments.resets is not None
        if all(self._key(program, like, ragged=ragged) in self._kernels for program in programs):
            return
        with ThreadPoolExecutor(len(programs)) as pool:
            list(pool.map(lambda program: self._built(program, like, ragged=ragged), programs))

    def run(self, program: Program, arguments: Arguments) -> Results:
        streams, carries, vectors, weights, lengths, resets, restart, first, apart = arguments
        like = streams[0]
        batch, time = like.shape[:2]
        built = self._built(program, like, ragged=lengths is not None or resets is not None)
        layout = built.source.layout
        status = self._checked_status(like.device)
        operands, *rest = [_unwritten(batch * time * words, like.device) for words in built.words]
        if built.blank is not None:
            operands = built.blank.expand(batch * time, -1).contiguous()
        row, step = (1, batch) if is_time_first(like) else (time, 1)  # which rows of operands are next to each other
        row, step = row * layout.operand_width, step * layout.operand_width
        outputs = _outputs(program, like, first, layout.aliases, shifting=resets is None and not apart)
        if layout.aliases:
            rows = operands.view(like.dtype).as_strided((batch, time, layout.operand_width), (row, step, 1))
            for index, begin in layout.aliases.items():
                outputs.insert(index, rows[..., begin : begin + width(program.outputs[index])])
        if lengths is not None:  # skipped steps are not written
            for output in outputs:
                output.zero_()
            lengths = lengths.to(torch.int64).contiguous()
        ends = [like.new_empty(batch, size) for size in program.carries]
        summed = [like.new_empty(batch, size) for size in program.carries if program.backwards and resets is not None]
        totals = [like.new_empty(batch, width(group), dtype=torch.float32) for group in program.totals]

        streams = [s if s.stride(-1) == 1 or s.shape[-1] == 1 else s.contiguous() for s in streams]
        carries = [c if c.stride(-1) == 1 or c.shape[-1] == 1 else c.contiguous() for c in carries]
        restart = [r if r.stride(-1) == 1 or r.shape[-1] == 1 else r.contiguous() for r in restart]
        vectors = [v.contiguous() for v in vectors]
        groups = -(-batch // layout.options.rows)
        call = [time, batch, groups, 0 if lengths is None else lengths.data_ptr()]
        call += (0, 0, 0) if resets is None else (resets.data_ptr(), *resets.stride())
        call += (status, operands.data_ptr(), row, step, *(one.data_ptr() for one in rest))
        for s in streams:
            call += (s.data_ptr(), *s.stride()[:2])
        # with resets: the state that rows go back to or, backwards, the gradients of that state
        restarts = [(r.data_ptr(), r.stride(0)) for r in restart or summed] or [(0, 0)] * len(ends)
        for c, r, e in zip(carries, restarts, ends, strict=True):
            call += (c.data_ptr(), c.stride(0), *r, e.data_ptr())
        call += [v.data_ptr() for v in vectors]
        for number in built.source.weights:
            call += (weights[number].data_ptr(), *weights[number].stride())
        for index, o in enumerate(outputs):
            if index not in layout.aliases:
                call += (o.data_ptr(), *o.stride()[:2])
        call += [t.data_ptr() for t in totals]
        built.kernel.launch(min(built.teams, groups) * layout.options.blocks, array("q", call))
        return Results(outputs, ends, [t.sum(0).to(like.dtype) for t in totals], summed)

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor:
        return self._portable.outer(operands, cotangent, ones=ones)

    def _card(self, device: torch.device) -> Card:
        return self._given or card_of(device)

    def _key(self, program: Program, like: Tensor, *, ragged: bool) -> "_Key":
        many = more_rows(program, like.shape[0], self._card(like.device).multiprocessors)
        return _Key(program, like.dtype, many, ragged, like.device)

    def _built(self, program: Program, like: Tensor, *, ragged: bool) -> "_Built":
        key = self._key(program, like, ragged=ragged)
        if (found := self._kernels.get(key)) is None:
            if len(self._kernels) >= KEPT:
                self._kernels.pop(next(iter(self._kernels)), None)
            try:
                found = _build(self._card(like.device), key)
            except BuildFailed as error:  # kept: it would fail again
                found = BuildFailed(str(error))
            self._kernels[key] = found
        if isinstance(found, BuildFailed):
            raise BuildFailed(str(found))
        return found

    def _checked_status(self, device: torch.device) -> int:
        """Return where a kernel sets a word when it gives up: in the host's memory, which costs nothing to read.

        Raises:
            RuntimeError: a kernel that has finished gave up.
        """
        if (status := self._status.get(device)) is None:
            status = torch.zeros(1, dtype=torch.int32, pin_memory=device.type == "cuda")
            status = self._status.setdefault(device, status)
        address = status.data_ptr()
        if c_int32.from_address(address).value:
            status.zero_()
            raise RuntimeError(GAVE_UP)
        return address


class _Key(NamedTuple):
    """What a kernel is compiled for."""

    program: Program
    dtype: torch.dtype
    many: bool  # whether a team of blocks runs two tiles of rows at once
    ragged: bool
    device: torch.device


@dataclass(frozen=True)
class _Built:
    """A kernel, and what of a launch does not depend on the arguments.

    Attributes:
        teams: how many teams of blocks run at once.
        words: for each row, those through which blocks hand on operands, numbers and partial sums; of operands none if
            there is a ``blank`` row of them: 0 between operands, where nobody hands on and everybody multiplies.
    """

    source: Source
    kernel: Kernel
    teams: int
    words: tuple[int, int, int]
    blank: Tensor | None

    @classmethod
    def of(cls, source: Source, kernel: Kernel, teams: int, device: torch.device) -> "_Built":
        layout = source.layout
        words = layout.operand_width * BYTES[layout.options.dtype] // 4
        rest = layout.float_width, len(layout.reductions) * layout.options.blocks
        gaps = [(at + value.width, at + layout.padded(value)) for value, at in layout.operands]
        if all(begin == end for begin, end in gaps):
            return cls(source, kernel, teams, (words, *rest), None)
        blank = _unwritten(words, device).view(layout.options.dtype)
        for begin, end in gaps:
            blank[begin:end] = 0
        return cls(source, kernel, teams, (0, *rest), blank)


def _build(card: Card, key: _Key) -> _Built:
    """Compile the first choice that a GPU runs without spilling registers to memory; else the one that spills least.

    Raises:
        BuildFailed: the program does not fit this GPU, or cannot be compiled.
    """
    program, dtype = key.program, key.dtype
    best: tuple[int, _Built] | None = None
    for options in choices(program, dtype, many=key.many, ragged=key.ragged, card=card)[:TRIES]:
        source = Source(program, options)
        if source.words > WORDS:
            raise BuildFailed(f"a step with {source.words} arguments: a GPU's kernel takes {WORDS}")
        kernel = card.load(source.text, dtype, options.threads, source.shared_bytes)
        teams = kernel.resident * card.multiprocessors // options.blocks
        if teams and (best is None or kernel.spilled < best[0]):
            best = kernel.spilled, _Built.of(source, kernel, teams, key.device)
        if best is not None and best[0] == 0:
            break
    if best is None:
        raise BuildFailed(f"weights of {widest(program)} columns do not fit {card.name}")
    return best[1]


def _unwritten(words: int, device: torch.device) -> Tensor:
    """Return words that no block has put anything in."""
    return torch.full((words,), -1, dtype=torch.int32, device=device) if words else _NOTHING


_NOTHING = torch.empty(0, dtype=torch.int32)


def _outputs(
    program: Program, like: Tensor, first: Tensor | None, without: Container[int], *, shifting: bool
) -> list[Tensor]:
    """Return output streams in the layout of ``like (batch, time, width)``, but for some; the cell's own is contiguous.

    A carry after a step is the carry before the next one, unless the row is reset between them: where both are outputs,
    they are one stream with one more step.
    """
    batch, time = like.shape[:2]
    shifted = program.shifted() if shifting else {}
    shifted = {after: before for after, before in shifted.items() if after not in without and before not in without}
    time_first = is_time_first(like)
    alone: dict[int, list[int]] = {}  # by width, outputs that may share a buffer: an allocation costs as much as a sum
    found = dict[int, Tensor]()
    for index, size in enumerate(map(width, program.outputs)):
        if index in without or index in shifted:
            continue
        if index == 0 and not program.backwards:
            found[0] = like.new_empty(batch, time, size) if first is None else first
        elif index in shifted.values():
            found[index] = _streams(like, 1, time + 1, size, time_first=time_first)[0]
        else:
            alone.setdefault(-index - 1 if program.backwards else size, []).append(index)
    for indices in alone.values():
        size = width(program.outputs[indices[0]])
        found |= zip(indices, _streams(like, len(indices), time, size, time_first=time_first), strict=True)
    for index, before in shifted.items():
        found[index], found[before] = found[before][:, 1:], found[before][:, :-1]
    return [found[index] for index in sorted(found)]


def _streams(like: Tensor, count: int, time: int, size: int, *, time_first: bool) -> tuple[Tensor, ...]:
    """Return unwritten streams ``(batch, time, size)``, views of one buffer if there are several."""
    batch = like.shape[0]
    if time_first:
        return like.new_empty(count, time, batch, size).transpose(1, 2).unbind()
    return like.new_empty(count, batch, time, size).unbind()
