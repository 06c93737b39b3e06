"""The loop of the portable executor as Python source: one line per operator, so that no graph is interpreted.

Results are written into their places in the buffers; other values go to scratch memory, which is reused as soon as
nothing reads it any more. Nothing is allocated in the loop, and nothing is copied into place after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from seqmodels.fusion.builder import Builder
from seqmodels.fusion.ops import POINTWISE, REDUCTIONS, TRUTHS, Op
from seqmodels.fusion.portable.buffers import Layout, Place, Scratch
from seqmodels.fusion.portable.loop_nodes import END, Activate, LoopNodes, Multiply, Node, adjacent
from seqmodels.fusion.portable.loop_plan import LoopPlan
from seqmodels.fusion.values import Selection, Value, width

WITH_OUT = {*POINTWISE, Op.THRESHOLD} - {*TRUTHS, Op.POW}
"""Operators that can write their result into given memory."""

SCOPE: dict[str, Callable[..., Tensor]] = {
    **{f"t_{name}": function for name, function in (*POINTWISE.items(), *REDUCTIONS.items())},
    **{name: getattr(torch, name) for name in ("cat", "addcmul", "where")},
    "t_threshold": lambda x, v: torch.ops.aten.threshold_backward(x, v, 0),
    "threshold": torch.ops.aten.threshold_backward.grad_input,
}
"""What the source calls, by the names it has there."""


@dataclass(frozen=True)
class LoopSource:
    """The source of a loop, with the places that it writes and the early values that it reads, in its order."""

    text: str
    places: list[Place]
    early: list[Value]


class LoopWriter:
    """Writes a loop: if ``smooth`` tanhs are sigmoids, if ``masked`` ended rows stand, with ``resets`` rows restart."""

    def __init__(self, plan: LoopPlan, layout: Layout, *, smooth: bool, masked: bool, resets: bool) -> None:
        self.plan, self.layout, self.program = plan, layout, plan.program
        self.smooth, self.masked, self.resets = smooth, masked, resets
        self.nodes = LoopNodes(plan, layout, smooth)
        self.ahead = {} if masked or resets else self.nodes.ahead()
        self.head: list[str] = []  # what runs once per call of the executor
        self.lines: list[str] = []  # what runs at every step
        self.names: dict[Value, str] = {}
        self.rows: dict[Place, str] = {}
        self.early: list[Value] = []
        self.next_rows: list[tuple[int, int]] = []  # early rows that are read a step ahead: the carry and the row
        self.constants: dict[str, str] = {}  # names of numbers as tensors
        self.views: set[str] = set()
        self.scratch = Scratch(self.head)
        self.overwritten: dict[Value, int] = {}  # values whose memory the next step writes: the first node that does

    def write(self) -> LoopSource:
        """Write the source; see :class:`~seqmodels.fusion.portable.executor.Loop` for what it is called with."""
        sums = {total: carry for carry, total in self.ahead.values()}
        for number, node in enumerate(self.nodes.order):
            if isinstance(node, Value) and node in sums:
                self.names[node] = f"c{sums[node]}"
            else:
                self._emit(number, node)
        return LoopSource(self._source(), list(self.rows), self.early)

    def _emit(self, number: int, node: Node) -> None:
        if isinstance(node, Multiply):
            self._multiply(number, node.product)
        elif isinstance(node, Activate):
            self._activate(node.values)
        elif node.op is Op.CARRY:
            self._carry(node)
        else:
            self._compute(number, node)

    def _carry(self, value: Value) -> None:
        index, start = value.columns
        whole = start == 0 and value.width == self.program.carries[index]
        self.names[value] = f"c{index}" if whole else f"c{index}_{start}_{value.width}"
        if not whole:
            self.lines.append(f"{self.names[value]} = c{index}[:, {start}:{start + value.width}]")
        if value in self.layout.written:
            self.lines.append(f"{self._row(self.layout.written[value])}.copy_({self.names[value]})")

    def _compute(self, number: int, value: Value) -> None:
        """Write the statements of a pointwise value, a reduction or a view."""
        terms = self._terms(value)
        self._release(number)
        place = self.layout.written.get(value)
        if value.op not in WITH_OUT or value.width == 1:
            self.names[value] = f"v{len(self.names)}"
            self.lines.append(f"{self.names[value]} = {self._expression(value, terms)}")
            if place is not None:
                self.lines.append(f"{self._row(place)}.copy_({self.names[value]})")
                if place.shift:
                    self.names[value] = self._row(place)
            return
        if place is not None:
            name = self.names[value] = self._row(place)
        else:
            own = self.nodes.last.get(value) == END  # what is carried
            name = self.names[value] = self.scratch.take(value, fresh=own)
            self.overwritten[value] = number
        self.lines += self._into(value, terms, name)

    def _into(self, value: Value, terms: list[str], name: str) -> list[str]:
        """Return the statements that write a pointwise value into memory of a name."""
        if value.op is Op.TANH and self.smooth:  # 2 sigmoid(2 x) - 1, exact to a unit in the last place of 1
            two, minus = self._constant(2.0), self._constant(-1.0)
            return [
                f"t_mul({terms[0]}, {two}, out={name})",
                f"t_sigmoid({name}, out={name})",
                f"t_add({minus}, {name}, alpha=2, out={name})",
            ]
        if value.op is Op.RELU:
            return [f"t_maximum({terms[0]}, {self._constant(0.0)}, out={name})"]
        if value.op is Op.THRESHOLD:
            return [f"threshold({terms[0]}, {terms[1]}, 0, grad_input={name})"]
        if value in self.nodes.absorbed:
            sign = "" if value.op is Op.ADD else "value=-1, "
            return [f"addcmul({', '.join(terms)}, {sign}out={name})"]
        return [f"t_{value.op}({', '.join(terms)}, out={name})"]

    def _terms(self, value: Value) -> list[str]:
        if (factor := self.nodes.absorbed.get(value)) is not None:
            other = value.args[0] if factor is value.args[1] else value.args[1]
            return [self._term(v) for v in (other, *factor.args)]
        return [self._term(argument) for argument in value.args]

    def _term(self, value: Value) -> str:
        if value.is_number:
            return self._constant(value.number)
        if value not in self.names:
            assert value in self.plan.early, value
            self.names[value] = f"e{len(self.early)}"
            self.early.append(value)
        return self.names[value]

    def _expression(self, value: Value, terms: list[str]) -> str:
        if value.op in REDUCTIONS:
            return f"t_{value.op}({terms[0]}, dim=-1, keepdim=True)"
        if value.op is Op.SPREAD:
            return f"{terms[0]}.expand(-1, {value.width})"
        if value.op is Op.POW and value.args[1].is_number:
            return f"t_pow({terms[0]}, {_literal(value.args[1].number)})"
        return f"t_{value.op}({', '.join(terms)})"

    def _constant(self, number: float) -> str:
        """Return a name of a number as a tensor: torch would wrap it at every step."""
        text = _literal(number)  # 0.0 and -0.0 compare equal
        if text not in self.constants:
            self.constants[text] = f"k{len(self.constants)}"
            self.head.append(f"{self.constants[text]} = like.new_full((), {text})")
        return self.constants[text]

    def _row(self, place: Place) -> str:
        """Return the name of the row of a place at a step."""
        return self.rows.setdefault(place, f"r{len(self.rows)}")

    def _release(self, number: int) -> None:
        """Free the scratch of values that no node after this one reads."""
        for value in dict.fromkeys(self.nodes.reads[number]):
            if self.nodes.last[value] == number:
                self.scratch.release(value)

    def _multiply(self, number: int, index: int) -> None:
        """Write a product, with what is added to all its columns, and name its parts."""
        product = self.program.products[index]
        zero = isinstance(product, Selection) and -1 in product.columns  # a column of zeros follows the operand's
        operand = self._side_by_side([*product.operand, *[Builder().scalar(0.0)] * zero])
        self.head.append(f"m{index} = products[{index}]")
        parts, written = self.plan.results(index), self.layout.written
        places = [written[v] for v in parts if v in written]
        direct = len(places) == 1 and all(v.width == product.width for v in parts)
        out = self._row(places[0]) if direct else f"p{index}"
        if not direct:
            self.head.append(f"{out} = like.new_empty((like.shape[0], {product.width}))")
        addend = self.plan.addends.get(index)
        added = self._term(addend.leaf) if addend else self._next_row(index)
        self.lines.append(f"m{index}({operand}, {added}, {out})")
        self._release(number)
        for part in parts:
            if direct:
                self.names[part] = out
                continue
            self.names[part] = self._columns(index, self.plan.columns[part].start, part.width)
            self.overwritten[part] = number
            if part in written:
                self.lines.append(f"{self._row(written[part])}.copy_({self.names[part]})")

    def _next_row(self, index: int) -> str | None:
        """Return the name of the next step's row, where a product adds that."""
        if index not in self.ahead:
            return None
        carry, total = self.ahead[index]
        row = int(self._term(next(v for v in total.args if v.op is not Op.CARRY)).removeprefix("e"))
        self.next_rows.append((carry, row))
        return f"f{row}"

    def _columns(self, index: int, start: int, size: int) -> str:
        """Return the name of columns of a product, sliced once."""
        name = f"p{index}"
        if size == self.program.products[index].width:
            return name
        view = f"{name}_{start}_{size}"
        if view not in self.views:
            self.views.add(view)
            self.head.append(f"{view} = {name}[:, {start}:{start + size}]")
        return view

    def _activate(self, run: tuple[Value, ...]) -> None:
        """Write one operator for sigmoids (and tanhs, as sigmoids) of adjacent columns."""
        index, start = self.plan.columns[run[0].args[0]]
        size, tanhs = width(run), [value for value in run if value.op is Op.TANH]
        source = self._columns(index, start, size)
        self.lines += [f"{self.names[value.args[0]]}.mul_({self._constant(2.0)})" for value in tanhs]
        place = self.layout.written.get(run[0])
        out = source if place is None else self._row(Place(place.buffer, place.start, size, place.shift))
        self.lines.append(f"t_sigmoid({source}, out={out})")
        for value in run:
            if place is None:
                self.names[value] = self._columns(index, start, value.width)
                self.overwritten[value] = self.nodes.order.index(Multiply(index))
            else:
                self.names[value] = self._row(self.layout.written[value])
            start += value.width
            if value.op is Op.TANH:
                name = self.names[value]
                self.lines.append(f"t_add({self._constant(-1.0)}, {name}, alpha=2, out={name})")

    def _side_by_side(self, values: list[Value]) -> str:
        """Return a name for rows of values side by side: the rows they were written to, where they lie so."""
        if len(values) == 1:
            return self._wide(values[0])
        places = [self.layout.written.get(value) for value in values]
        first = places[0]
        if first is not None and all(b and adjacent(a, b) for a, b in pairwise(places)):
            return self._row(Place(first.buffer, first.start, width(values), first.shift))
        return f"cat([{', '.join(map(self._wide, values))}], -1)"

    def _wide(self, value: Value) -> str:
        """Return a name for rows ``(batch, width)`` of a value, also where it is a number or the same for all rows."""
        if value.is_number:
            name = f"w{len(self.head)}"
            self.head.append(f"{name} = like.new_full((like.shape[0], {value.width}), {_literal(value.number)})")
            return name
        name = self._term(value)
        return f"{name}.expand(like.shape[0], -1)" if value in self.plan.time_invariant else name

    def _carried(self, index: int) -> str:
        """Return an expression for a carry after the step, in memory that outlives the next step's use of it."""
        group = self.program.carried[index]
        if len(group) > 1:
            return f"cat([{', '.join(map(self._wide, group))}], -1)"
        value, name = group[0], self._wide(group[0])
        if value not in self.plan.late or (value.op is Op.PRODUCT and value.columns.source in self.ahead):
            return name
        place = self.layout.written.get(value)
        in_total = place is not None and self.layout.buffers[place.buffer].total
        if value.op in (Op.CARRY, Op.SPREAD) or in_total:
            return f"{name}.clone()"
        return f"{name}.clone()" if self.nodes.last_use(index) >= self.overwritten.get(value, END) else name

    def _reset(self) -> list[str]:
        """Return the statements that reset rows; backwards, they hand the rows' cotangents to the initial state."""
        back = "c{0}, _ = where(z, 0, c{0}), starts[{0}].add_(where(z, c{0}, 0))"
        form = back if self.program.backwards else "c{0} = where(z, starts[{0}], c{0})"
        return [f"if z is not None: {form.format(i)}" for i in range(len(self.program.carries)) if self.resets]

    def _source(self) -> str:
        carries = range(len(self.program.carries))
        after = [self._carried(i) for i in carries]
        ends = [f"n{i} = {expression}" for i, expression in enumerate(after)]
        kept = [f"c{i} = where(k, n{i}, c{i})" if self.masked else f"c{i} = n{i}" for i in carries]
        rows = list(self.rows.values())
        moving = [i for i, v in enumerate(self.early) if v not in self.plan.time_invariant]
        fixed = [f"e{i} = early[{i}]" for i, v in enumerate(self.early) if v in self.plan.time_invariant]
        first = [f"c{carry} = t_add(c{carry}, early[{row}][0])" for carry, row in self.next_rows]
        given = ["keep", "resets", *(f"early[{i}]" for i in moving)]
        given += [f"(*early[{row}][1:], None)" for _, row in self.next_rows]
        given += [f"rows[{i}]" for i in range(len(rows))]
        named = ["k", "z", *(f"e{i}" for i in moving), *(f"f{row}" for _, row in self.next_rows), *rows]
        names = "".join(f", c{i}" for i in carries)
        step = [*self.lines, *ends, *kept]
        step = [*step, *self._reset()] if self.program.backwards else [*self._reset(), *step]
        inside = [*fixed, *first, f"for {', '.join(named)}, in zip({', '.join(given)}):"]
        inside += [f"    {line}" for line in step or ["pass"]]
        inside.append(f"return [{names[2:]}]")
        head = f"def loop(early, rows, keep, resets, starts{names}):"
        function = [head, *(f"    {line}" for line in inside), "return loop"]
        return "\n".join(["def make(products, like):", *(f"    {line}" for line in [*self.head, *function])])


def _literal(number: float) -> str:
    return repr(number) if number - number == 0 else f"float({str(number)!r})"
