"""Where the portable executor writes the results of its loop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from seqmodels.fusion.ops import Op
from seqmodels.fusion.portable.loop_plan import LoopPlan
from seqmodels.fusion.values import Value, width


@dataclass(frozen=True)
class Place:
    """Columns of a buffer that the loop writes one row of at every step; with ``shift`` 1, the next step's row."""

    buffer: int
    start: int
    width: int
    shift: int = 0


@dataclass
class Buffer:
    """Rows of all steps: one or several output streams side by side, or a total, whose rows are summed."""

    width: int
    total: bool = False
    carry: int | None = None
    """The carry whose values before each step these are; then there is one more row, for the value after the last."""


@dataclass(frozen=True)
class Layout:
    """Where the outputs and totals of a program are, and where the loop writes late values that are among them."""

    buffers: list[Buffer]
    outputs: list[Place]
    totals: list[Place]
    unmasked: list[Place]  # of outputs that another output holds one step later: that one sets skipped steps to 0
    written: dict[Value, Place]
    copies: list[tuple[Place, Place]]  # (from, to): further places of values that are written once


def lay_out(plan: LoopPlan, *, apart: bool = False) -> Layout:
    """Give every output and total a buffer, and every late value that is a result a place in it.

    A carry before a step has the place of the carry after the step before, unless they are to be kept ``apart``.
    """
    program, bundles = plan.program, _bundles(plan)
    shifted = {} if apart else program.shifted()
    holders = {program.outputs[i][0]: i for i in reversed(shifted)}  # a value is written to one such row
    shifted = {i: shifted[i] for value, i in holders.items() if value in plan.late}
    buffers, places, begun = list[Buffer](), dict[int, Place](), dict[tuple[int, ...], int]()
    for index in (i for i in range(len(program.outputs)) if i not in shifted):
        bundle = bundles.get(index, (index,))
        sizes = [width(program.outputs[i]) for i in bundle]
        if bundle not in begun:
            begun[bundle] = len(buffers)
            buffers.append(Buffer(sum(sizes)))
        at = bundle.index(index)
        places[index] = Place(begun[bundle], sum(sizes[:at]), sizes[at])
    places |= {index: replace(places[before], shift=1) for index, before in shifted.items()}
    outputs = [places[index] for index in range(len(program.outputs))]
    totals = [Place(len(buffers) + i, 0, width(group)) for i, group in enumerate(program.totals)]
    buffers += [Buffer(place.width, total=True) for place in totals]
    written, copies = {} if apart else _written_as_carries(plan, outputs, buffers), list[tuple[Place, Place]]()
    for value, wanted in _wanted(plan, outputs, totals):
        if buffers[wanted.buffer].carry is None and (first := written.setdefault(value, wanted)) is not wanted:
            copies.append((first, wanted))
    return Layout(buffers, outputs, totals, [places[index] for index in shifted.values()], written, copies)


def _wanted(plan: LoopPlan, outputs: Sequence[Place], totals: Sequence[Place]) -> Iterator[tuple[Value, Place]]:
    """Yield the late values among the results, each with its place."""
    # the last output first: the first one is the cell's, whose rows lie far apart
    groups = [*reversed(list(zip(outputs, plan.program.outputs, strict=True)))]
    for whole, group in [*groups, *zip(totals, plan.program.totals, strict=True)]:
        start = whole.start
        for value in group:
            if value in plan.late:
                yield value, Place(whole.buffer, start, value.width)
            start += value.width


def _bundles(plan: LoopPlan) -> dict[int, tuple[int, ...]]:
    """Return the outputs that one operator computes from adjacent columns, which share a buffer: by output, all of it.

    Outputs share memory in forward programs alone, where only the backward pass sees all but the first; the gradients
    that a backward program returns are autograd's to change.
    """
    program = plan.program
    single = {} if program.backwards else {g[0]: i for i, g in enumerate(program.outputs) if len(g) == 1}
    carried = {group[0] for group in program.carried if len(group) == 1}
    found: dict[int, tuple[int, ...]] = {}
    for run in (run for runs in plan.activations.values() for run in runs):
        indices = tuple(single.get(value, 0) for value in run)
        if len(run) > 1 and 0 not in indices and carried.isdisjoint(run):
            found |= dict.fromkeys(indices, indices)
    return found


def _written_as_carries(plan: LoopPlan, outputs: Sequence[Place], buffers: Sequence[Buffer]) -> dict[Value, Place]:
    """Place the new values of carries in the buffers that hold the carries before each step, one row further on."""
    written: dict[Value, Place] = {}
    program = plan.program
    for index, (place, group) in enumerate(zip(outputs, program.outputs, strict=True)):
        value = group[0]
        if program.backwards or index == 0 or place.shift or len(group) > 1 or value.op is not Op.CARRY:
            continue
        carry, start = value.columns
        after = program.carried[carry]
        whole = start == 0 and value.width == program.carries[carry]
        if whole and len(after) == 1 and after[0] in plan.late and after[0] not in written:
            buffers[place.buffer].carry = carry
            written[after[0]] = replace(place, shift=1)
    return written


class Scratch:
    """Memory for values that are no results, reused once nothing reads it; its allocations are added to ``head``."""

    def __init__(self, head: list[str]) -> None:
        self._head = head
        self._free: dict[int, list[str]] = {}  # by width
        self._taken: dict[Value, str] = {}

    def take(self, value: Value, *, fresh: bool) -> str:
        """Return the name of memory for a value; of ``fresh`` memory that nothing else uses before, if asked."""
        free = self._free.setdefault(value.width, [])
        if not free or fresh:
            free.append(f"s{len(self._head)}")
            self._head.append(f"{free[-1]} = like.new_empty((like.shape[0], {value.width}))")
        self._taken[value] = free.pop()
        return self._taken[value]

    def release(self, value: Value) -> None:
        """Let other values use the memory of a value, if it has any here."""
        if value in self._taken:
            self._free[value.width].append(self._taken.pop(value))
