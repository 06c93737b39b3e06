"""In which pass over a row's columns each value of a program is computed, and where it is kept between passes.

A step is a few passes. A pass computes the products of one level, block of columns by block of columns, and with each
block all pointwise values of that width that depend on it. A value that a later pass needs is kept in a buffer, or read
back from the output stream that it is written to anyway; values that depend on no product are recomputed where they are
used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from seqmodels.fusion.ops import INPUTS, LEAVES, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Value, in_order, width


class Key(NamedTuple):
    """Which pass: the level of its products, and the width of its values."""

    level: int
    width: int


class Target(Enum):
    """What a result of a program is written to."""

    OUTPUT = auto()
    CARRY = auto()
    TOTAL = auto()


class Write(NamedTuple):
    """A value that is written to a result: which one, from which column on."""

    target: Target
    number: int
    start: int
    value: Value


@dataclass
class Pass:
    """The work of one pass."""

    blocks: list[Value] = field(default_factory=list)  # columns of products
    body: list[Value] = field(default_factory=list)  # pointwise values, in order
    reductions: list[Value] = field(default_factory=list)
    kept: list[Value] = field(default_factory=list)  # values that go to buffers
    writes: list[Write] = field(default_factory=list)


@dataclass
class Schedule:
    """The passes in order, and where values are found that an earlier pass computed."""

    passes: dict[Key, Pass]
    buffered: list[Value]  # values that lie in a row's buffer
    outputs: dict[Value, tuple[int, int]]  # values that lie in an output stream: which one, and their first column


def schedule(program: Program) -> Schedule:
    """Schedule a program."""
    return _Scheduler(program).schedule()


class _Scheduler:
    """Collects what each pass must compute; a pass asks earlier ones for what they must keep."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.passes: dict[Key, Pass] = {}
        self.goals: dict[Key, list[Value]] = {}  # what a pass computes for others, for itself, or as a result
        self.writes: dict[Key, list[Write]] = {}
        self.buffered: dict[Value, None] = {}
        self.outputs: dict[Value, tuple[int, int]] = {}
        self.kept_by: dict[Value, Key] = {}  # the pass that keeps a value

    def schedule(self) -> Schedule:
        values = self.program.values()
        used = sorted({value.columns.source for value in values if value.op is Op.PRODUCT})
        operands = [v for index in used for v in self.program.products[index].operand if v.op not in INPUTS]
        for operand in operands:
            self._keep(operand)
        self._place_roots()
        self.buffered.update((operand, None) for operand in operands if operand not in self.outputs)
        for value in values:
            if value.op in REDUCTIONS:
                self.buffered[value] = None
                self.goals.setdefault(_key(value.args[0]), []).append(value)
        while pending := self.goals.keys() - self.passes.keys():
            key = max(pending)
            self.passes[key] = self._pass(key)
        for key, writes in self.writes.items():
            self.passes[key].writes = writes
        for value in self.buffered:
            if value.op not in REDUCTIONS and value not in self.outputs:
                self.passes[self.kept_by[value]].kept.append(value)
        return Schedule(dict(sorted(self.passes.items())), list(self.buffered), self.outputs)

    def _keep(self, value: Value) -> None:
        """Have the pass that a value belongs to keep it."""
        self.kept_by[value] = _key(value)
        self.goals.setdefault(_key(value), []).append(value)

    def _place_roots(self) -> None:
        """Give each output, carry and total a pass: the one that computes it, or any later one of its width."""
        program = self.program
        groups = (Target.OUTPUT, program.outputs), (Target.CARRY, program.carried), (Target.TOTAL, program.totals)
        roots = [
            Write(target, index, width(group[:place]), value)
            for target, kind in groups
            for index, group in enumerate(kind)
            for place, value in enumerate(group)
        ]
        keys = {_key(root.value) for root in roots} | set(self.goals)
        reduced = {value.args[0] for value in program.values() if value.op in REDUCTIONS}
        for root in roots:
            value = root.value
            key = self.kept_by.get(value) or _key(value)
            if value.level == 0 and value not in self.kept_by and value not in reduced:
                key = max(other for other in keys if other.width == value.width)
            self.writes.setdefault(key, []).append(root)
            self.goals.setdefault(key, []).append(value)
            readable = root.target is Target.OUTPUT and value.args and value.op not in REDUCTIONS
            if readable and value not in self.outputs:
                self.outputs[value] = (root.number, root.start)
                self.kept_by.setdefault(value, key)

    def _pass(self, key: Key) -> Pass:
        """Collect the work of a pass, all later ones being collected already."""
        found, roots, computed = Pass(), list[Value](), set[Value]()
        for value in self.goals[key]:
            if value.op in REDUCTIONS and key == _key(value.args[0]):
                roots.append(value.args[0])
                found.reductions.append(value)
            else:
                roots.append(value)

        def arguments(value: Value) -> Sequence[Value]:
            """Return what a value is computed from in this pass; nothing if it is not computed here."""
            if value.op in LEAVES or value.op in REDUCTIONS or self.kept_by.get(value, key) < key:
                return ()  # it lies somewhere, or an earlier pass keeps it
            if value.op is Op.PRODUCT and _key(value) == key:
                found.blocks.append(value)
            elif value.op is Op.PRODUCT or _belongs_earlier(value, key):
                self.buffered.setdefault(value)
                self._keep(value)
            else:
                computed.add(value)
                return value.args
            return ()

        found.body = [value for value in in_order(roots, arguments) if value in computed]
        return found


def _key(value: Value) -> Key:
    return Key(value.level, value.width)


def _belongs_earlier(value: Value, key: Key) -> bool:
    """Return whether a value is computed by an earlier pass, of a lower level or for one number per row."""
    if value.level == 0 or value.op in TRUTHS or value.op is Op.SPREAD:
        return False
    return value.level < key.level or (value.width == 1 and key.width > 1)
