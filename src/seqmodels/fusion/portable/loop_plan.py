"""Which values of a program the portable executor computes in its loop, and which in bulk before it."""

from functools import cached_property
from typing import NamedTuple

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import RECURRENT, Op
from seqmodels.fusion.portable.rewriting import rewritten
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Columns, Value, dependent, inner, walk

KNOWN_BEFORE = frozenset({Op.STREAM, Op.VECTOR})
"""Inputs that are known before the loop."""


class Addend(NamedTuple):
    """Columns of a stream or vector that are added to all columns of a product, and the sums that this makes."""

    leaf: Value
    sums: list[Value]


class LoopPlan:
    """A program's values, sorted: *late* ones depend on the carries or are products, and are computed in the loop.

    *Early* ones depend on streams and vectors alone, and are computed in bulk, for many steps at once.
    """

    def __init__(self, program: Program) -> None:
        self.program = rewritten(program)
        self.order = self.program.values()
        self.late = dependent(self.order, self.program.products, RECURRENT)

    @cached_property
    def users(self) -> dict[Value, list[Value | None]]:
        """Who uses each value: values, and None each time that it is a result of the program."""
        users: dict[Value, list[Value | None]] = {value: [] for value in self.order}
        for value in self.order:
            for argument in inner(value, self.program.products):
                users[argument].append(value)
        for root in self.program.roots:
            users[root].append(None)
        return users

    @cached_property
    def parts(self) -> dict[int, list[Value]]:
        """By product, the values that are columns of it; products that nothing uses are left out."""
        parts: dict[int, list[Value]] = {}
        for value in self.order:
            if value.op is Op.PRODUCT:
                parts.setdefault(value.columns.source, []).append(value)
        return dict(sorted(parts.items()))

    @cached_property
    def addends(self) -> dict[int, Addend]:
        """By product, what is added to all its columns wherever they are used: one operator computes both."""
        found, build = dict[int, Addend](), Builder()
        for index, parts in self.parts.items():
            size = self.program.products[index].width
            sums = list(dict.fromkeys(user for part in parts for user in self.users[part] if user is not None))
            leaves = {_addend(part, user) for part in parts for user in self.users[part]}
            covered = {part.columns.start + column for part in parts for column in range(part.width)}
            if len(covered) == size and len(leaves) == 1 and (leaf := leaves.pop()) is not None:
                op, columns = leaf
                same = (v for v in self.order if (v.op, v.payload, v.width) == (op, columns, size))
                found[index] = Addend(next(same, None) or build.leaf(op, *columns, size), sums)
        return found

    def results(self, index: int) -> list[Value]:
        """Return the values that are columns of a product together with its addend."""
        sums = self.addends[index].sums if index in self.addends else []
        return [*self.parts[index], *sums]

    @cached_property
    def columns(self) -> dict[Value, Columns]:
        """Of which product each value of :meth:`results` is the result, and its first column there."""
        return {value: Columns(index, _start(value, index)) for index in self.parts for value in self.results(index)}

    @cached_property
    def early(self) -> list[Value]:
        """The early values that the loop, or a result of the program, reads; constants are left out."""
        sums = {value for addend in self.addends.values() for value in addend.sums}
        used = {v for late in self.late if late not in sums for v in inner(late, self.program.products)}
        used.update(self.program.roots)
        early = [v for v in self.order if v in used and v not in self.late and not v.is_number]
        return list(dict.fromkeys([*early, *(addend.leaf for addend in self.addends.values())]))

    @cached_property
    def inputs(self) -> list[Value]:
        """The columns of streams and vectors that early values are computed from."""
        return [v for v in walk(self.early, self.program.products) if v.op in KNOWN_BEFORE]

    @cached_property
    def time_invariant(self) -> set[Value]:
        """The early values that are the same at every step."""
        moving = dependent([*self.order, *self.early], self.program.products, RECURRENT | {Op.STREAM})
        return {value for value in self.early if value not in moving}

    @cached_property
    def activations(self) -> dict[int, list[list[Value]]]:
        """By product, runs of sigmoids and tanhs of adjacent columns of it that nothing else reads."""
        found: dict[int, list[list[Value]]] = {}
        columns = self.columns
        candidates = [v for v in self.order if v.op in (Op.SIGMOID, Op.TANH) and v.args[0] in columns]
        single = [v for v in candidates if self.users[v.args[0]] == [v] and not self._is_shared(v.args[0])]
        for value in sorted(single, key=lambda value: columns[value.args[0]].start):
            runs = found.setdefault(columns[value.args[0]].source, [])
            last = runs[-1][-1] if runs else None
            if last is not None and columns[last.args[0]].start + last.width == columns[value.args[0]].start:
                runs[-1].append(value)
            else:
                runs.append([value])
        return found

    def _is_shared(self, part: Value) -> bool:
        """Return whether other columns that are read overlap those of a part, which is changed in place."""
        index, start = self.columns[part]
        read = self.addends[index].sums if index in self.addends else self.parts[index]
        starts = [(self.columns[value].start, value.width) for value in read if value is not part]
        return any(other < start + part.width and start < other + size for other, size in starts)


def _addend(part: Value, user: Value | None) -> tuple[Op, Columns] | None:
    """Return the stream or vector that ``user`` adds to the part, and its column that meets the product's column 0."""
    if user is None or user.op is not Op.ADD or user.width != part.width:
        return None
    other = user.args[0] if user.args[1] is part else user.args[1]
    if other.op not in KNOWN_BEFORE or other.width != part.width or other.columns.start < part.columns.start:
        return None
    return other.op, Columns(other.columns.source, other.columns.start - part.columns.start)


def _start(part: Value, index: int) -> int:
    """Return the first column of a part of a product, or of its sum with an addend."""
    if part.op is not Op.PRODUCT:
        part = next(a for a in part.args if a.op is Op.PRODUCT and a.columns.source == index)
    return part.columns.start
