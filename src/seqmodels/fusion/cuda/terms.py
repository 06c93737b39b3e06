"""What a thread of a kernel has of each value, and the text that reads it.

Values of one width are shared out in the same way: a block owns some columns, and each of its threads some of their
numbers, each of one row and column. A value of width 1, a number a row, is computed by every block; threads that own
columns of another width read it from the block's shared memory (a *single*).
"""

import math
from collections.abc import Iterable

from seqmodels.fusion.cuda.layout import Layout
from seqmodels.fusion.ops import INPUTS, LOGICAL, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.values import Columns, Value

INFIX = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.AND: "&", Op.OR: "|", Op.XOR: "^"}
INFIX |= {Op.GT: ">", Op.GE: ">=", Op.LT: "<", Op.LE: "<=", Op.EQ: "==", Op.NE: "!="}
PREFIX = {Op.NEG: "-", Op.NOT: "!"}

Held = tuple[Value, int]
"""A value, and the width whose columns a thread owns: its numbers of that value."""


class Terms:
    """Names of what a thread has.

    Attributes:
        streams, vectors: leaves that a thread loads, by what it holds of them.
        gathered: slices of a carry that others own, which it reads from them.
        computed: values that it has computed so far in a step.
        reduced: reductions whose result is known so far.
        singles: places of numbers a row in shared memory; a carry's is found by its number and column.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.streams: dict[Held, str] = {}
        self.vectors: dict[Held, str] = {}
        self.gathered: dict[Held, str] = {}
        self.computed: dict[Held, str] = {}
        self.reduced: set[Value] = set()
        self.singles: dict[Value | Columns, int] = {}
        for key, work in layout.schedule.passes.items():
            here = {*work.blocks, *work.body}
            used = [argument for value in work.body for argument in value.args]
            used += [value.args[0] for value in work.reductions] + [write.value for write in work.writes] + work.kept
            for value in used:
                self._note(value, key.width, here)
        for value in [*(value for value, _ in layout.operands), *layout.floats]:
            self._note(value, value.width, set())

    @property
    def widths(self) -> list[int]:
        """The widths of everything that threads share out."""
        layout = self.layout
        found = {1} | {key.width for key in layout.schedule.passes} | {part.value.width for part in layout.parts}
        found |= {columns for kind in (self.streams, self.vectors, self.gathered) for _, columns in kind}
        found |= {value.width for value, _ in layout.operands} | {value.width for value in layout.floats}
        return sorted(found | {value.width for group in layout.program.totals for value in group})

    def loop(self, columns: int, lines: Iterable[str]) -> list[str]:
        """Return a loop over a thread's numbers of values of a width.

        Lines find ``e``, which of its numbers; row ``r`` of the group and ``b`` of the batch; column ``unit``; ``in``,
        whether row and column exist; and ``on``, whether the row has this step.
        """
        if not (lines := list(lines)):
            return []
        unit = "0" if columns == 1 else f"mine * B{columns} + slot % B{columns}"
        inside = "" if columns == 1 else f" && unit < {columns}"
        active = f"in && t < length{columns}[e]" if self.layout.options.ragged else "in"
        return [
            f"  UNROLL for (int e = 0; e < E{columns}; e++) {{",
            f"    const int slot = threadIdx.x + e * THREADS, r = slot / B{columns}, unit = {unit};",
            "    const int64_t b = base + r;",
            f"    const bool in = slot < ROWS * B{columns} && r < left{inside}, on = {active};",
            "    (void)b, (void)unit, (void)on;",
            *(f"    {line}" for line in lines),
            "  }",
        ]

    def named(self, value: Value, columns: int) -> str:
        """Name a value that is computed now, and return the declaration of what a thread will have of it."""
        name = self.computed[value, columns] = f"u{len(self.computed)}"
        return f"  {'bool' if value.op in TRUTHS else 'float'} {name}[E{columns}];"

    def has(self, value: Value, columns: int) -> bool:
        """Return whether a thread can read its numbers of a value by now."""
        if value.op is Op.SPREAD:
            return self.has(value.args[0], columns)
        if value.op in REDUCTIONS:
            return value in self.reduced
        shared = value in self.singles and (value, 1) in self.computed
        return value.op in INPUTS or value.op is Op.SCALAR or (value, columns) in self.computed or shared

    def term(self, value: Value, columns: int) -> str:
        """Return an expression for the number of a value that a thread has, inside :meth:`loop`."""
        if value.op is Op.SPREAD:
            value = value.args[0]
        if value.op is Op.SCALAR:
            return literal(value.number)
        if value.op in REDUCTIONS:
            return f"whole[{self.layout.reductions.index(value)} * ROWS + (r < ROWS ? r : 0)]"
        for kind in (self.streams, self.vectors, self.gathered, self.computed):
            if (value, columns) in kind:
                return f"{kind[value, columns]}[e]"
        if value.op is Op.CARRY and value.width == columns:
            return f"{carry_name(*value.columns)}[e]"
        assert value.width == 1, (value, columns)
        place = self.singles[value.columns if value.op is Op.CARRY else value]
        return f"single[{place} * ROWS + (r < ROWS ? r : 0)]"

    def expression(self, value: Value, columns: int) -> str:
        """Return an expression that computes a value from its arguments."""
        terms = [self.term(argument, columns) for argument in value.args]
        if value.op in LOGICAL:  # a constant argument may be a number where a truth value is needed
            terms = [f"({t} != 0.f)" if a.op is Op.SCALAR else t for a, t in zip(value.args, terms, strict=True)]
        if value.op in PREFIX:
            return f"{PREFIX[value.op]}{terms[0]}"
        if value.op in INFIX:
            return f"{terms[0]} {INFIX[value.op]} {terms[1]}"
        if value.op is Op.WHERE:
            return f"{terms[0]} ? {terms[1]} : {terms[2]}"
        return f"f_{value.op}({', '.join(terms)})"

    def _note(self, value: Value, columns: int, here: set[Value]) -> None:
        """Remember that a thread reads a value, unless it is computed ``here``, in the same pass."""
        if value.op is Op.SPREAD:
            value = value.args[0]
        leaves = {Op.STREAM: self.streams, Op.VECTOR: self.vectors}
        count = len(self.streams) + len(self.vectors) + len(self.gathered)
        alone = value.width == 1 and columns > 1
        if value.op in leaves:
            leaves[value.op].setdefault((value, columns), f"x{count}")
        elif value.op is Op.CARRY and not self.layout.owned(value):
            self.gathered.setdefault((value, columns), f"x{count}")
        elif value.op is Op.CARRY and alone:
            self.singles.setdefault(value.columns, len(self.singles))
        elif alone and value.level > 0 and value not in here and value.op not in (*REDUCTIONS, Op.SCALAR):
            self.singles.setdefault(value, len(self.singles))


def carry_name(carry: int, start: int) -> str:
    return f"c{carry}_{start}"


def literal(number: float) -> str:
    """Return a number as C++ writes it."""
    if math.isfinite(number):
        return f"{float(number)!r}f"
    return "NAN" if math.isnan(number) else f"{'-' * (number < 0)}INFINITY"
