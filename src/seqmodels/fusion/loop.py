"""The loop of the portable executor, generated as plain Python: one line an operator, no graph is interpreted."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from seqmodels.fusion.program import Mover, Program
from seqmodels.fusion.values import POINTWISE, REDUCTIONS, Builder, Product, Value, walk

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=="}
SIGNS |= {"ne": "!=", "and": "&", "or": "|"}


def is_number(value: Value) -> bool:
    """Say whether a value is one number for all rows and columns."""
    return value.op == "scalar" or (value.op == "spread" and value.args[0].op == "scalar")


def number_of(value: Value) -> float:
    """Return that number."""
    return (value if value.op == "scalar" else value.args[0]).data[0]


class Loop:
    """A program sorted into what the streams alone decide (early) and what hangs on the carries (late).

    ``run(steps, early, carries, weights, keep, like)`` runs the late part: ``early`` are sequences of rows, one a step
    (or a tensor that is the same for all), ``keep`` the masks of rows that are still running, or None. It returns, for
    each late value that is wanted, the list of its rows, and the carries.
    """

    def __init__(self, program: Program) -> None:
        program = _reassociate(program)
        self.products, self.backwards = program.products, program.backwards
        self.outputs, self.totals = program.outputs, program.totals
        self._program = program
        self._order = program.values()
        self._late = _late(self._order, program.products)
        self._added = self._addends()
        wanted = {v for group in (*program.outputs, *program.totals) for v in group}
        used = {v for late in self._order if late in self._late for v in _inner(late, program.products)}
        used |= wanted | {v for group in program.carried for v in group}
        early = [v for v in self._order if v in used and v not in self._late and not is_number(v)]
        self.early = list(dict.fromkeys([*early, *(leaf for leaf, _ in self._added.values())]))
        self.late = [v for v in self._order if v in wanted and v in self._late]
        self.leaves = [v for v in walk(self.early, list(self.products)) if v.op in ("stream", "vector")]
        self.run = self._compile()

    def _addends(self) -> dict[int, tuple[Value, set[Value]]]:
        """Find products whose columns are only ever added to the same columns of a stream: one operator does both.

        Return, by product, the stream's leaf and the sums that it makes.
        """
        users: dict[Value, list[Value | None]] = {}
        for value in self._order:
            for argument in _inner(value, self.products):
                users.setdefault(argument, []).append(value)
        for root in self._program.roots:
            users.setdefault(root, []).append(None)
        found, build = {}, Builder()
        for index, product in enumerate(self.products):
            parts = [v for v in self._order if v.op == "product" and v.data[0] == index]
            sums = {user for part in parts for user in users.get(part, [])}
            places = {_place(part, user) for part in parts for user in users.get(part, [])}
            covered = sum(part.width for part in parts) == product.width
            if covered and len(places) == 1 and (place := places.pop()) is not None:
                leaf = build.leaf("stream", *place, product.width)
                leaf = next(
                    (v for v in self._order if (v.op, v.data, v.width) == (leaf.op, leaf.data, leaf.width)), leaf
                )
                found[index] = leaf, {s for s in sums if s is not None}
        return found

    def _compile(self) -> Callable[..., tuple[list[list[Any]], list[Any]]]:
        """Write the loop as Python and compile it."""
        program, carries = self._program, range(len(self._program.carries))
        still = {v for v in self.early if all(leaf.op != "stream" for leaf in walk([v], list(self.products)))}
        self._head = ["def loop(steps, early, carries, weights, keep, like):"]
        self._still = still
        self._names = {v: f"e{i}_t" for i, v in enumerate(self.early)}
        self._lines = ["    for t in steps:"]
        self._made: set[int] = set()
        for i, v in enumerate(self.early):
            self._head.append(f"    e{i} = early[{i}]")
            self._lines.append(f"        e{i}_t = e{i}" if v in still else f"        e{i}_t = e{i}[t]")
        self._head += [f"    c{i} = carries[{i}]" for i in carries]
        self._head += [f"    o{i} = []; w{i} = o{i}.append" for i in range(len(self.late))]
        for value in (v for v in self._order if v in self._late and v not in self._names):
            self._emit(value)
        self._lines += [f"        w{i}({self._names[value]})" for i, value in enumerate(self.late)]
        for i, group in enumerate(program.carried):
            self._lines.append(f"        n{i} = {_joined([self._wide(v) for v in group])}")
        self._lines.append("        if keep is None:")
        self._lines += [f"            c{i} = n{i}" for i in carries] or ["            pass"]
        self._lines.append("        else:")
        self._lines += [f"            c{i} = where(keep[t], n{i}, c{i})" for i in carries] or ["            pass"]
        outputs, ends = (", ".join(f"{k}{i}" for i in n) for k, n in (("o", range(len(self.late))), ("c", carries)))
        self._lines.append(f"    return [{outputs}], [{ends}]")
        scope: dict[str, Any] = {
            **POINTWISE,
            **REDUCTIONS,
            "cat": torch.cat,
            "mm": torch.mm,
            "addmm": torch.addmm,
            "clamp": torch.clamp,
        }
        exec("\n".join([*self._head, *self._lines]), scope)  # noqa: S102 - the text is generated above
        return scope["loop"]

    def _wide(self, value: Value) -> str:
        """Return a name for rows ``(batch, width)`` of a value, also where it is a number or the same for all rows."""
        if is_number(value):
            name = f"k{len(self._head)}"
            self._head.append(f"    {name} = like.new_full((like.shape[0], {value.width}), {number_of(value)!r})")
            return name
        name = self._names[value]
        return f"{name}.expand(like.shape[0], -1)" if value in self._still else name

    def _emit(self, value: Value) -> None:
        """Write the line that computes a late value from those before it, and name it."""
        if value.op == "product":
            self._multiply(value.data[0])
            return
        name = self._names[value] = f"v{len(self._names)}"
        self._lines.append(f"        {name} = {self._expression(value)}")

    def _multiply(self, index: int) -> None:
        """Write a product, with what is added to all its columns, and name its parts."""
        if index in self._made:
            return
        self._made.add(index)
        product = self.products[index]
        operand = _joined([self._wide(piece) for piece in product.operand])
        parts = [v for v in self._order if v.op == "product" and v.data[0] == index]
        if index in self._added:
            leaf, sums = self._added[index]
            self._lines.append(f"        p{index} = addmm({self._names[leaf]}, {operand}, weights[{index}])")
            parts += sums
        else:
            self._lines.append(f"        p{index} = mm({operand}, weights[{index}])")
        for part in parts:
            start = _start(part, index)
            name = self._names[part] = f"p{index}" if part.width == product.width else f"p{index}_{start}_{part.width}"
            if part.width != product.width and part.op == "product":
                self._lines.append(f"        {name} = p{index}[:, {start}:{start + part.width}]")

    def _expression(self, value: Value) -> str:
        if value.op == "carry":
            index, offset = value.data
            whole = offset == 0 and value.width == self._program.carries[index]
            return f"c{index}" if whole else f"c{index}[:, {offset}:{offset + value.width}]"
        terms = [repr(a.data[0]) if a.op == "scalar" else self._names[a] for a in value.args]
        if value.op in REDUCTIONS:
            return f"{value.op}({terms[0]}, dim=-1, keepdim=True)"
        if value.op == "spread":
            return f"{terms[0]}.expand(-1, {value.width})"
        if value.op == "not":
            return f"~{terms[0]}"
        if value.op in SIGNS:
            return f"{terms[0]} {SIGNS[value.op]} {terms[1]}"
        if value.op in ("maximum", "minimum") and any(a.op == "scalar" for a in value.args):
            tensor, number = terms if value.args[1].op == "scalar" else reversed(terms)
            return f"clamp({tensor}, {'min' if value.op == 'maximum' else 'max'}={number})"
        return f"{value.op}({', '.join(terms)})"


def _inner(value: Value, products: Sequence[Product]) -> Sequence[Value]:
    return products[value.data[0]].operand if value.op == "product" else value.args


def _late(order: list[Value], products: Sequence[Product]) -> set[Value]:
    late: set[Value] = set()
    for value in order:
        if value.op in ("carry", "product") or any(argument in late for argument in _inner(value, products)):
            late.add(value)
    return late


def _place(part: Value, user: Value | None) -> tuple[int, int] | None:
    """Return the stream, and its column that meets the product's column 0, when ``user`` adds a stream to the part."""
    if user is None or user.op != "add" or user.width != part.width:
        return None
    other = user.args[0] if user.args[1] is part else user.args[1]
    if other.op != "stream" or other.width != part.width or other.data[1] < part.data[1]:
        return None
    return other.data[0], other.data[1] - part.data[1]


def _start(part: Value, index: int) -> int:
    """Return the first column of a part of a product, or of the sum that was made with it."""
    if part.op != "product":
        part = next(a for a in part.args if a.op == "product" and a.data[0] == index)
    return int(part.data[1])


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"cat([{', '.join(parts)}], -1)"


def _reassociate(program: Program) -> Program:
    """Write (late * early) * early as late * (early * early): one operator less in the loop, the rest in bulk."""
    late = _late(program.values(), program.products)

    def factors(value: Value) -> tuple[list[Value], list[Value]]:
        if value not in late:
            return [], [value]
        if value.op != "mul":
            return [value], []
        (late_a, early_a), (late_b, early_b) = map(factors, value.args)
        return late_a + late_b, early_a + early_b

    def change(mover: Mover, value: Value) -> Value | None:
        if value.op != "mul" or value not in late:
            return None
        (first, *more), early = factors(value)
        if more or len(early) < 2:
            return None
        factor = mover(early[0])
        for other in early[1:]:
            factor = mover.builder.apply("mul", factor, mover(other))
        return mover.builder.apply("mul", mover(first), factor)

    mover = Mover(program.products, change)
    outputs, carried, totals = map(mover.groups, (program.outputs, program.carried, program.totals))
    sizes = (program.streams, program.carries, program.vectors)
    products = tuple(mover.builder.products)
    return Program(*sizes, products, outputs, carried, totals, backwards=program.backwards)
