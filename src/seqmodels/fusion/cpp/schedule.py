"""In which pass over a row's columns each value of a program is computed, and where it is kept between passes.

A step is a few passes. A pass computes the products of one level, block of columns by block of columns, and at once
all pointwise values of that width that depend on them. A value that a later pass needs is kept in a buffer, or is read
back from the output stream that it is written to anyway; what hangs on no product is computed again where it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqmodels.fusion.program import Program
from seqmodels.fusion.values import LEAVES, REDUCTIONS, TRUTHS, Value, in_order

Key = tuple[int, int]
"""A pass: the level of its products, and the width of its values."""


@dataclass
class Pass:
    """The work of one pass: values in order, which of them are stored where, and what is summed along the row."""

    body: list[Value] = field(default_factory=list)
    blocks: list[Value] = field(default_factory=list)  # column ranges of products
    sums: list[Value] = field(default_factory=list)
    kept: list[Value] = field(default_factory=list)  # values that go to buffers


@dataclass
class Schedule:
    """Passes in order, and where values are found that an earlier pass computed."""

    passes: dict[Key, Pass]
    writes: dict[Key, list[tuple[str, int, int, Value]]]  # (kind of root, index, first column, value)
    buffers: dict[Value, int]  # first column in a row's buffer, in units of whole vectors before it
    outputs: dict[Value, tuple[int, int]]  # values that lie in an output stream: index and first column
    at: dict[Value, Key]  # the pass that computes what is kept


def direct(value: Value) -> bool:
    """Say whether an operand can be read where it lies."""
    return value.op in ("carry", "stream", "vector")


def schedule(program: Program) -> Schedule:
    """Schedule a program."""
    made = Schedule({}, {}, {}, {}, {})
    values = program.values()
    operands = [piece for p in _used(program) for piece in program.products[p].operand if not direct(piece)]
    goals: dict[Key, list[Value]] = {}
    for piece in operands:
        made.at[piece] = _key(piece)
        goals.setdefault(_key(piece), []).append(piece)
    _place_roots(program, made, goals)
    for piece in operands:
        if piece not in made.outputs:
            made.buffers.setdefault(piece, 0)
    for value in values:
        if value.op in REDUCTIONS:
            made.buffers[value] = 0
            goals.setdefault(_key(value.args[0]), []).append(value)
    while pending := sorted((key for key in goals if key not in made.passes), reverse=True):
        key = pending[0]
        made.passes[key] = _Fill(program, made, goals, key).run()
    made.passes = dict(sorted(made.passes.items()))
    for value in made.buffers:
        if value.op not in REDUCTIONS and value not in made.outputs:
            made.passes[made.at[value]].kept.append(value)
    return made


def _used(program: Program) -> list[int]:
    return sorted({value.data[0] for value in program.values() if value.op == "product"})


def _key(value: Value) -> Key:
    return value.level, value.width


def _place_roots(program: Program, made: Schedule, goals: dict[Key, list[Value]]) -> None:
    """Give each output, carry and total a pass: the one that computes it, or any later one of its width."""
    roots = [
        (kind, index, value, sum(v.width for v in group[:place]))
        for kind, groups in (("output", program.outputs), ("carry", program.carried), ("total", program.totals))
        for index, group in enumerate(groups)
        for place, value in enumerate(group)
    ]
    keys = {_key(value) for _, _, value, _ in roots} | set(goals)
    reduced = {value.args[0] for value in program.values() if value.op in REDUCTIONS}
    for kind, index, value, start in roots:
        key = made.at.get(value) or _key(value)
        if value.level == 0 and value not in made.at and value not in reduced:
            key = max(other for other in keys if other[1] == value.width)
        made.writes.setdefault(key, []).append((kind, index, start, value))
        goals.setdefault(key, []).append(value)
        if kind == "output" and value.args and value.op not in REDUCTIONS and value not in made.outputs:
            made.outputs[value] = (index, start)
            made.at.setdefault(value, key)


class _Fill:
    """Collects what one pass computes, and asks earlier passes for what they must keep."""

    def __init__(self, program: Program, made: Schedule, goals: dict[Key, list[Value]], key: Key) -> None:
        self.program, self.made, self.goals, self.key = program, made, goals, key
        self.found = Pass()

    def run(self) -> Pass:
        roots = []
        for value in self.goals[self.key]:
            if value.op in REDUCTIONS and self.key == _key(value.args[0]):
                roots.append(value.args[0])
                self.found.sums.append(value)
            else:
                roots.append(value)
        computed = set[Value]()
        for value in in_order(roots, lambda value: self.visit(value, computed)):
            if value in computed:
                self.found.body.append(value)
        return self.found

    def visit(self, value: Value, computed: set[Value]) -> Sequence[Value]:
        """Return what a value is computed from in this pass, and note that it is, unless it comes from elsewhere."""
        if value.op in (*LEAVES, *REDUCTIONS) or self.made.at.get(value, self.key) < self.key:
            return ()  # it lies somewhere, or an earlier pass keeps it
        if value.op == "product" and _key(value) == self.key:
            self.found.blocks.append(value)
        elif value.op == "product" or self.elsewhere(value, *self.key):
            self.ask(value)
        else:
            computed.add(value)
            return value.args
        return ()

    def elsewhere(self, value: Value, level: int, size: int) -> bool:
        if value.level == 0 or value.op in TRUTHS or value.op == "spread":
            return False
        return value.level < level or (value.width == 1 and size > 1)

    def ask(self, value: Value) -> None:
        """Have an earlier pass keep a value in a buffer."""
        self.made.at[value] = _key(value)
        self.made.buffers.setdefault(value, 0)
        self.goals.setdefault(_key(value), []).append(value)
