"""The loop of the portable executor as plain Python: one line an operator, no graph is interpreted while it runs.

Results are written into the rows of the buffers where they are wanted, else into scratch that is used again as soon as
nothing reads it any more: nothing is allocated in the loop, and nothing is copied into place after it.
"""

from itertools import pairwise
from typing import Any

import torch

from seqmodels.fusion.loop import Place, Sorted
from seqmodels.fusion.loop_nodes import END, Nodes, adjacent
from seqmodels.fusion.values import POINTWISE, REDUCTIONS, TRUTHS, Builder, Value, is_number, number_of

INTO = {*POINTWISE, "threshold"} - {*TRUTHS, "pow"}
"""Operators that can write their result into given memory."""

SCOPE: dict[str, Any] = {
    **{f"t_{name}": function for name, function in (*POINTWISE.items(), *REDUCTIONS.items())},
    **{name: getattr(torch, name) for name in ("cat", "addcmul", "where")},
    "t_threshold": lambda x, v: torch.ops.aten.threshold_backward(x, v, 0),
    "threshold": torch.ops.aten.threshold_backward.grad_input,
}
"""What the text calls, by the names it has there."""


class Text:
    """Writes a loop node after node: ``source``, which reads rows of ``read`` and writes those that are ``wanted``."""

    def __init__(self, found: Sorted, smooth: bool, masked: bool) -> None:
        self.found, self.program, self.smooth, self.masked = found, found.program, smooth, masked
        self.head: list[str] = []
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        self.wanted: list[Place] = []
        self.rows: dict[Place, str] = {}
        self.views: set[str] = set()
        self.read: list[Value] = []
        self.first: list[str] = []  # what is done before the loop
        self.later: list[int] = []  # which early rows are read a step ahead
        self.constants: dict[str, str] = {}
        self.free: dict[int, list[str]] = {}
        self.owner: dict[Value, str] = {}  # values in scratch, by name
        self.memory: dict[Value, int] = {}  # values in memory that the next step writes again: the first node that does
        self.work = Nodes(found, smooth)
        self.nodes, self.reads = self.work.order, self.work.reads
        self.absorbed, self.last = self.work.absorbed, self.work.last
        self.ahead = {} if masked else self.work.ahead()
        self.sums = {total: carry for carry, total in self.ahead.values()}
        for at, node in enumerate(self.nodes):
            self.at = at
            self._emit(node)
        self.source = self._finish()

    def _emit(self, node: Any) -> None:
        if not isinstance(node, Value):
            (self._multiply if node[0] == "product" else self._activate)(node[1])
        elif node in self.sums:
            self.names[node] = f"c{self.sums[node]}"
        elif node.op == "carry":
            self._carry(node)
        else:
            self._compute(node)

    def _carry(self, value: Value) -> None:
        index, offset = value.data
        whole = offset == 0 and value.width == self.program.carries[index]
        self.names[value] = f"c{index}" if whole else f"c{index}_{offset}_{value.width}"
        if not whole:
            self.lines.append(f"{self.names[value]} = c{index}[:, {offset}:{offset + value.width}]")
        if value in self.found.places:
            self.lines.append(f"{self._row(self.found.places[value])}.copy_({self.names[value]})")

    def _compute(self, value: Value) -> None:
        """Write the statements of a pointwise value or a row's sum."""
        terms = self._terms(value)
        self._release()
        place = self.found.places.get(value)
        if value.op not in INTO or value.width == 1:
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
            name = self.names[value] = self._scratch(value)
            self.memory[value] = self.at
        if value.op == "tanh" and self.smooth:
            self.lines += self._smooth_tanh(terms[0], name)
        elif value.op == "relu":
            self.lines.append(f"t_maximum({terms[0]}, {self._constant(0.0)}, out={name})")
        elif value.op == "threshold":
            self.lines.append(f"threshold({terms[0]}, {terms[1]}, 0, grad_input={name})")
        elif value in self.absorbed:
            sign = "" if value.op == "add" else "value=-1, "
            self.lines.append(f"addcmul({', '.join(terms)}, {sign}out={name})")
        else:
            self.lines.append(f"t_{value.op}({', '.join(terms)}, out={name})")

    def _smooth_tanh(self, term: str, name: str) -> list[str]:
        """Return tanh(x) as 2 sigmoid(2 x) - 1, which is exact to a unit in the last place of 1."""
        two, minus = self._constant(2.0), self._constant(-1.0)
        return [
            f"t_mul({term}, {two}, out={name})",
            f"t_sigmoid({name}, out={name})",
            f"t_add({minus}, {name}, alpha=2, out={name})",
        ]

    def _terms(self, value: Value) -> list[str]:
        if (factor := self.absorbed.get(value)) is not None:
            other = value.args[0] if factor is value.args[1] else value.args[1]
            return [self._term(v) for v in (other, *factor.args)]
        return [self._term(argument) for argument in value.args]

    def _term(self, value: Value) -> str:
        if is_number(value):
            return self._constant(number_of(value))
        if value in self.names:
            return self.names[value]
        assert value in self.found.early, value
        self.names[value] = f"e{len(self.read)}"
        self.read.append(value)
        return self.names[value]

    def _expression(self, value: Value, terms: list[str]) -> str:
        if value.op in REDUCTIONS:
            return f"t_{value.op}({terms[0]}, dim=-1, keepdim=True)"
        if value.op == "spread":
            return f"{terms[0]}.expand(-1, {value.width})"
        if value.op == "pow" and is_number(value.args[1]):
            return f"t_pow({terms[0]}, {_literal(number_of(value.args[1]))})"
        return f"t_{value.op}({', '.join(terms)})"

    def _constant(self, number: float) -> str:
        """Return a name of a number as a tensor: torch would wrap it at every step."""
        text = _literal(number)  # 0.0 and -0.0 are equal
        if text not in self.constants:
            self.constants[text] = f"k{len(self.constants)}"
            self.head.append(f"{self.constants[text]} = like.new_full((), {text})")
        return self.constants[text]

    def _row(self, place: Place) -> str:
        """Return the name of the row of a place at a step."""
        if place not in self.rows:
            self.rows[place] = f"r{len(self.wanted)}"
            self.wanted.append(place)
        return self.rows[place]

    def _scratch(self, value: Value) -> str:
        free = self.free.setdefault(value.width, [])
        if not free or self.last.get(value) == END:  # what is carried has memory of its own
            free.append(f"s{len(self.head)}")
            self.head.append(f"{free[-1]} = like.new_empty((like.shape[0], {value.width}))")
        self.owner[value] = free.pop()
        return self.owner[value]

    def _release(self) -> None:
        """Give back the scratch of what the present node is the last to read."""
        for value in dict.fromkeys(self.reads[self.at]):
            if self.last[value] == self.at and value in self.owner:
                self.free[value.width].append(self.owner.pop(value))

    def _multiply(self, index: int) -> None:
        """Write a product, with what is added to all its columns, and name its parts."""
        product = self.program.products[index]
        nothing = [Builder().scalar(0.0)] if -1 in product.select else []  # a column of zeros behind the operand's
        operand = self._side_by_side([*product.operand, *nothing])
        self.head.append(f"m{index} = products[{index}]")
        parts = self.found.results(index)
        places = [self.found.places[v] for v in parts if v in self.found.places]
        direct = len(places) == 1 and all(v.width == product.width for v in parts)
        out = self._row(places[0]) if direct else f"p{index}"
        if not direct:
            self.head.append(f"{out} = like.new_empty((like.shape[0], {product.width}))")
        leaf = self._term(self.found.added[index][0]) if index in self.found.added else self._next_row(index)
        self.lines.append(f"m{index}({operand}, {leaf}, {out})")
        self._release()
        for part in parts:
            if direct:
                self.names[part] = out
                continue
            self.names[part] = self._columns(out, self.found.column[part][1], part.width, product.width)
            self.memory[part] = self.at
            if part in self.found.places:
                self.lines.append(f"{self._row(self.found.places[part])}.copy_({self.names[part]})")

    def _next_row(self, index: int) -> str | None:
        """Return the name of the next step's row, where a product adds that."""
        if index not in self.ahead:
            return None
        carry, total = self.ahead[index]
        row = next(v for v in total.args if v.op != "carry")
        number = int(self._term(row).removeprefix("e"))
        self.first.append(f"c{carry} = t_add(c{carry}, early[{number}][0])")
        self.later.append(number)
        return f"f{number}"

    def _columns(self, name: str, start: int, size: int, total: int) -> str:
        """Return the name of columns of scratch, cut once."""
        if size == total:
            return name
        view = f"{name}_{start}_{size}"
        if view not in self.views:
            self.views.add(view)
            self.head.append(f"{view} = {name}[:, {start}:{start + size}]")
        return view

    def _activate(self, run: tuple[Value, ...]) -> None:
        """Write one operator for sigmoids (and tanhs, as sigmoids) of columns side by side."""
        index, start = self.found.column[run[0].args[0]]
        total, size = self.program.products[index].width, sum(value.width for value in run)
        source = self._columns(f"p{index}", start, size, total)
        for value in run:
            if value.op == "tanh":
                self.lines.append(f"{self.names[value.args[0]]}.mul_({self._constant(2.0)})")
        place, at = self.found.places.get(run[0]), start
        kept = None if place is None else self._row(Place(place.buffer, place.start, size, place.shift))
        self.lines.append(f"t_sigmoid({source}, out={kept or source})")
        for value in run:
            if place is None:
                self.names[value] = self._columns(f"p{index}", at, value.width, total)
                self.memory[value] = self.nodes.index(("product", index))
            else:
                self.names[value] = self._row(self.found.places[value])
            at += value.width
            if value.op == "tanh":
                name = self.names[value]
                self.lines.append(f"t_add({self._constant(-1.0)}, {name}, alpha=2, out={name})")

    def _side_by_side(self, values: list[Value]) -> str:
        """Return a name for rows of values side by side: the rows they were written to, where they lie so."""
        if len(values) == 1:
            return self._wide(values[0])
        places = [self.found.places.get(value) for value in values]
        first = places[0]
        if first is not None and all(b and adjacent(a, b) for a, b in pairwise(places)):
            return self._row(Place(first.buffer, first.start, sum(v.width for v in values), first.shift))
        return f"cat([{', '.join(map(self._wide, values))}], -1)"

    def _wide(self, value: Value) -> str:
        """Return a name for rows ``(batch, width)`` of a value, also where it is a number or the same for all rows."""
        if is_number(value):
            name = f"w{len(self.head)}"
            number = _literal(number_of(value))
            self.head.append(f"{name} = like.new_full((like.shape[0], {value.width}), {number})")
            return name
        name = self._term(value)
        return f"{name}.expand(like.shape[0], -1)" if value in self.found.still else name

    def _carried(self, index: int) -> str:
        """Return an expression for a carry after the step, in memory that outlives the next step's use of it."""
        group = self.program.carried[index]
        if len(group) > 1:
            return f"cat([{', '.join(map(self._wide, group))}], -1)"
        value, name = group[0], self._wide(group[0])
        if value not in self.found.late or (value.op == "product" and value.data[0] in self.ahead):
            return name
        place = self.found.places.get(value)
        if value.op in ("carry", "spread") or (place is not None and self.found.buffers[place.buffer].total):
            return f"{name}.clone()"
        written = self.memory.get(value, END)
        return f"{name}.clone()" if self.work.last_use(index) >= written else name

    def _finish(self) -> str:
        carries = range(len(self.program.carries))
        after = [self._carried(i) for i in carries]
        ends = [f"n{i} = {expression}" for i, expression in enumerate(after)]
        kept = [f"c{i} = where(k, n{i}, c{i})" if self.masked else f"c{i} = n{i}" for i in carries]
        rows = [f"r{i}" for i in range(len(self.wanted))]
        moving = [f"e{i}" for i, v in enumerate(self.read) if v not in self.found.still]
        still = [f"e{i} = early[{i}]" for i, v in enumerate(self.read) if v in self.found.still]
        given = [f"early[{i}]" for i, v in enumerate(self.read) if v not in self.found.still]
        given += [f"(*early[{i}][1:], None)" for i in self.later]
        given += [f"rows[{i}]" for i in range(len(rows))]
        named = ["k", *moving, *(f"f{i}" for i in self.later), *rows]
        names = "".join(f"c{i}, " for i in carries)
        inside = [*still, *self.first, f"for {', '.join(named)}, in zip(keep, {', '.join(given)}):"]
        inside += [f"    {line}" for line in [*self.lines, *ends, *kept] or ["pass"]]
        inside.append(f"return [{names}]")
        function = [f"def loop(early, rows, keep, {names}):", *(f"    {line}" for line in inside), "return loop"]
        return "\n".join(["def make(products, like):", *(f"    {line}" for line in [*self.head, *function])])


def _literal(number: float) -> str:
    return repr(number) if number - number == 0 else f"float({str(number)!r})"
