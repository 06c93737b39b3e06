"""The program of one layer as a C function that advances one step of one sequence."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from seqmodels.exporting.c.functions import LIBRARY
from seqmodels.exporting.c.traced import Traced
from seqmodels.exporting.c.weights import PANEL, Weights, panels
from seqmodels.fusion.ops import INPUTS, LEAVES, LOGICAL, TRUTHS, Op
from seqmodels.fusion.schedule import Key, Pass, Target, Write, schedule
from seqmodels.fusion.values import Product, Selection, Value, width

INFIX = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/", Op.AND: "&&", Op.OR: "||", Op.XOR: "!="}
INFIX |= {Op.GT: ">", Op.GE: ">=", Op.LT: "<", Op.LE: "<=", Op.EQ: "==", Op.NE: "!="}
NEUTRAL = {Op.SUM: "0.0f", Op.AMAX: "-INFINITY", Op.AMIN: "INFINITY"}
COMBINE = {Op.SUM: "{0} + {1}", Op.AMAX: "f_maximum({0}, {1})", Op.AMIN: "f_minimum({0}, {1})"}


@dataclass
class Written:
    """The C of a step, and what it takes.

    Attributes:
        text: the function.
        work: floats of memory that it needs besides its arguments.
        functions: the names in ``functions.OWN`` that it calls.
        products: whether it multiplies with whole panels (True), with narrower ones (False).
        multiplications: multiply-adds of a step.
        pointwise: other operations of a step.
    """

    text: str = ""
    work: int = 0
    functions: set[str] = field(default_factory=set)
    products: set[bool] = field(default_factory=set)
    multiplications: int = 0
    pointwise: int = 0


def written(name: str, traced: Traced, weights: Weights) -> Written:
    """Return a step as C, its numbers added to ``weights``.

    The function reads the input ``x`` and the carries ``carry`` and writes the output ``y``; ``m`` is memory to work
    in, ``F`` are all floats of the model and ``Q``, with weights in int8, all bytes.
    """
    return _Writer(name, traced, weights).written()


class _Writer:
    """Knows where in memory each value lies."""

    def __init__(self, name: str, traced: Traced, weights: Weights) -> None:
        self.name, self.traced, self.program, self.weights = name, traced, traced.program, weights
        self.schedule = schedule(self.program)
        self.found = Written()
        self.vectors = [weights.floats(vector) for vector in traced.vectors]
        self.carries = _starts(self.program.carries)
        self.next = self._room(sum(self.program.carries))
        self.buffers = {value: self._room(value.width) for value in self.schedule.buffered}
        self.names: dict[Value, str] = {}  # in the pass that is written

    def written(self) -> Written:
        body = [line for key, work in self.schedule.passes.items() for line in self._pass(key, work)]
        if size := sum(self.program.carries):
            body.append(f"memcpy(carry, m + {self.next}, {size} * sizeof(float));")
        q = "const int8_t *restrict Q, " if self.weights.dtype == "int8" else ""
        arguments = f"const float *restrict F, {q}const float *restrict x, "
        arguments += "float *restrict carry, float *restrict y, float *restrict m"
        lines = [f"  {line}" for line in body]
        unused = [n for n in ("F", *(["Q"] if q else []), "carry", "m", "x", "y") if not _mentions(body, n)]
        lines = [*(f"  (void){name};" for name in unused), *lines]
        self.found.text = "\n".join([f"static void {self.name}({arguments}) {{", *lines, "}"])
        return self.found

    def _room(self, size: int) -> int:
        start, self.found.work = self.found.work, self.found.work + size
        return start

    def _pass(self, key: Key, work: Pass) -> Iterator[str]:
        """Yield the products of a pass, then the loop over its columns."""
        self.names = {}
        by_product: dict[int, list[Value]] = {}
        for block in work.blocks:
            by_product.setdefault(block.columns.source, []).append(block)
        for index, blocks in by_product.items():
            product = self.program.products[index]
            blocks.sort(key=lambda block: block.columns.start)
            start = self._room(width(blocks))
            for number, block in enumerate(blocks):
                self.names[block] = f"m[{start + width(blocks[:number])} + j]"
            if isinstance(product, Selection):
                yield from self._selected(index, product, blocks, start)
            else:
                yield from self._multiplied(product, blocks, start)
        totals = [f"total{key.level}_{key.width}_{i}" for i in range(len(work.reductions))]
        yield from (f"float {t} = {NEUTRAL[v.op]};" for t, v in zip(totals, work.reductions, strict=True))
        yield f"for (int j = 0; j < {key.width}; j++) {{"
        yield from (f"  {line}" for line in self._columns(work, key, totals))
        yield "}"
        yield from (f"m[{self.buffers[v]}] = {t};" for t, v in zip(totals, work.reductions, strict=True))

    def _operand(self, pieces: Sequence[Value]) -> tuple[list[str], str]:
        """Return the lines that bring the pieces of an operand side by side, and where it begins."""
        if len(pieces) == 1:
            return [], self._address(pieces[0])
        start = self._room(width(pieces))
        places = _starts([piece.width for piece in pieces])
        lines = [
            f"memcpy(m + {start + at}, {self._address(piece)}, {piece.width} * sizeof(float));"
            for piece, at in zip(pieces, places, strict=True)
        ]
        return lines, f"m + {start}"

    def _multiplied(self, product: Product, blocks: Sequence[Value], start: int) -> Iterator[str]:
        lines, operand = self._operand(product.operand)
        yield from lines
        weight = self.traced.weights[product.weight]
        weight = weight.t() if product.transposed else weight  # (depth, width)
        columns = torch.cat([weight[:, b.columns.start : b.columns.start + b.width] for b in blocks], 1)
        self.found.multiplications += columns.numel()
        matrix = self.weights.matrix(columns)
        for panel in panels(columns.shape[1]):
            wide, at = panel.width == PANEL, panel.first * product.depth
            self.found.products.add(wide)
            if matrix.scales is None:
                factors = f"F + {matrix.start + at}"
            else:
                factors = f"Q + {matrix.start + at}, F + {matrix.scales + panel.first}"
            name, end = (f"product{PANEL}", "") if wide else ("product", f", {panel.width}")
            yield f"{name}(m + {start + panel.first}, {factors}, {operand}, {product.depth}{end});"

    def _selected(self, index: int, selection: Selection, blocks: Sequence[Value], start: int) -> Iterator[str]:
        lines, operand = self._operand(selection.operand)
        yield from lines
        wanted = [c for b in blocks for c in selection.columns[b.columns.start : b.columns.start + b.width]]
        table = f"from{index}_{start}"
        yield f"static const int32_t {table}[] = {{{', '.join(map(str, wanted))}}};"
        yield f"const float *const restrict operand{index}_{start} = {operand};"
        yield (
            f"for (int j = 0; j < {len(wanted)}; j++) "
            f"m[{start} + j] = {table}[j] < 0 ? 0.0f : operand{index}_{start}[{table}[j]];"
        )

    def _columns(self, work: Pass, key: Key, totals: Sequence[str]) -> Iterator[str]:
        """Yield the statements for one column of a pass."""
        for value in work.body:
            expression = self._expression(value, key)
            name = f"u{len(self.names)}"
            yield f"const {'int' if value.op in TRUTHS else 'float'} {name} = {expression};"
            self.names[value] = name
            if value.op is not Op.SPREAD:
                self.found.pointwise += value.width
        for value in work.kept:
            yield f"m[{self.buffers[value]} + j] = {self._term(value, key)};"
        for value, total in zip(work.reductions, totals, strict=True):
            self._calls(COMBINE[value.op])
            self.found.pointwise += key.width
            yield f"{total} = {COMBINE[value.op].format(total, self._term(value.args[0], key))};"
        yield from (self._write(write, key) for write in work.writes)

    def _write(self, write: Write, key: Key) -> str:
        target, index, start, value = write
        assert target is not Target.TOTAL, "a forward program sums nothing over time"
        place = f"y[{start} + j]" if target is Target.OUTPUT else f"m[{self.next + self.carries[index] + start} + j]"
        return f"{place} = {self._term(value, key)};"

    def _expression(self, value: Value, key: Key) -> str:
        terms = [self._term(argument, key) for argument in value.args]
        if value.op in LOGICAL:  # a constant argument may be a number where a truth value is needed
            terms = [f"({t} != 0)" if a.op is Op.SCALAR else t for a, t in zip(value.args, terms, strict=True)]
        if value.op is Op.SPREAD:
            return terms[0]
        if value.op is Op.NEG:
            return f"-({terms[0]})"
        if value.op is Op.NOT:
            return f"!{terms[0]}"
        if value.op in INFIX:
            return f"{terms[0]} {INFIX[value.op]} {terms[1]}"
        if value.op is Op.WHERE:
            return f"{terms[0]} ? {terms[1]} : {terms[2]}"
        name = LIBRARY.get(value.op, f"f_{value.op}")
        self._calls(name)
        return f"{name}({', '.join(terms)})"

    def _calls(self, expression: str) -> None:
        name = expression.split("(", 1)[0]
        if name.startswith("f_"):
            self.found.functions.add(name)

    def _term(self, value: Value, key: Key) -> str:
        """Return an expression for one column of a value: a name, a number, or a load from memory."""
        if value in self.names:
            return self.names[value]
        if value.op is Op.SCALAR:
            return literal(value.number)
        name, at = self._place(value)
        return f"{name}[{at}]" if value.width == 1 and key.width > 1 else f"{name}[{at} + j]"

    def _address(self, value: Value) -> str:
        name, at = self._place(value)
        return f"{name} + {at}"

    def _place(self, value: Value) -> tuple[str, int]:
        """Return in which memory a value lies, and its first column there."""
        if value in self.schedule.outputs and value.op not in INPUTS:
            _, start = self.schedule.outputs[value]
            return "y", start
        if value in self.buffers:
            return "m", self.buffers[value]
        assert value.op in LEAVES, value
        index, start = value.columns
        if value.op is Op.VECTOR:
            return "F", self.vectors[index] + start
        return ("x", start) if value.op is Op.STREAM else ("carry", self.carries[index] + start)


def _mentions(lines: Iterable[str], name: str) -> bool:
    return any(re.search(rf"\b{name}\b", line) for line in lines)


def _starts(sizes: Iterable[int]) -> list[int]:
    starts, total = [], 0
    for size in sizes:
        starts.append(total)
        total += size
    return starts


def literal(number: float) -> str:
    """Return a number, rounded to float, as C."""
    return text(float(torch.tensor(number, dtype=torch.float32)))


def text(number: float) -> str:
    """Return a number that a float holds as C."""
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "(-INFINITY)" if number < 0 else "INFINITY"
    digits = f"{number:.9g}"
    digits = digits if "." in digits or "e" in digits else f"{digits}.0"
    return f"({digits}f)" if digits.startswith("-") else f"{digits}f"
