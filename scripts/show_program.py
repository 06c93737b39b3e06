"""Print what the fused back-end derives from a cell: its forward and backward program, or the generated C++.

    python scripts/show_program.py GRUCell
    python scripts/show_program.py LSTMCell --hidden-size 8 --cpp

One line per value; `ap0` and `bp0` are products with a weight, `x[2:4]` are columns, `x[3, -1]` is column 3 followed by
a zero, `x | y` stand side by side. Any cell in `seqmodels.cells` will do, and with `package.module.Class` any other
that takes `(input_size, hidden_size)`.
"""

import argparse
import operator
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch import fx

from seqmodels.cells.base import Cell
from seqmodels.fusion.cpp.emit import source
from seqmodels.fusion.lowering.step import Step
from seqmodels.fusion.ops import Op
from seqmodels.fusion.plan import step_of
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import Product, Selection, Value, width
from seqmodels.sequence import Fixed

SIGNS = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/"}
SIGNS |= {Op.GT: ">", Op.GE: ">=", Op.LT: "<", Op.LE: "<=", Op.EQ: "==", Op.NE: "!="}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell", help="a class of seqmodels.cells, or package.module.Class")
    parser.add_argument("--input-size", type=int, default=3)
    parser.add_argument("--hidden-size", type=int, default=4)
    parser.add_argument("--cpp", action="store_true", help="print the generated C++ of both programs instead")
    arguments = parser.parse_args()
    module, _, name = arguments.cell.rpartition(".")
    cell = getattr(import_module(module or "seqmodels.cells"), name)(arguments.input_size, arguments.hidden_size)
    print(described(cell, cpp=arguments.cpp))


def described(cell: Cell[Any], *, cpp: bool = False) -> str:
    """Return the programs of a cell in words or, with ``cpp``, as the C++ that is compiled (fp32)."""
    step, wx, state, constants = step_of(cell, torch.zeros(2, 3, cell.input_size, requires_grad=True))
    assert step.pair is not None
    if cpp:
        return "\n".join(_own(source(program, "float")) for program in (step.pair.forward, step.pair.backward))
    streams, carries = _names(wx, "wx"), _names(state, "state")
    carries = [name.removeprefix("state.") for name in carries]
    constants = [*_fixed(wx, "wx"), *constants[len(_fixed(wx, "wx")) :]]
    return "\n".join([*_hoisted(step, constants), "", *_both(step, streams, carries, constants)])


def _own(text: str) -> str:
    """Leave out the runtime header that every kernel begins with."""
    return text[text.index("struct Args {") :]


def _names(tree: Any, prefix: str) -> list[str]:
    """Return a dotted name for every leaf of ``tree``."""
    if isinstance(tree, Fixed):
        return []
    if not isinstance(tree, tuple):
        return [prefix]
    fields = getattr(tree, "_fields", range(len(tree)))
    return [name for field, part in zip(fields, tree, strict=True) for name in _names(part, f"{prefix}.{field}")]


def _fixed(tree: Any, prefix: str) -> list[str]:
    if isinstance(tree, Fixed):
        return [prefix]
    if not isinstance(tree, tuple):
        return []
    fields = getattr(tree, "_fields", range(len(tree)))
    return [name for field, part in zip(fields, tree, strict=True) for name in _fixed(part, f"{prefix}.{field}")]


def _hoisted(step: Step, constants: list[str]) -> list[str]:
    """Return the lines that are computed once for a whole sequence, from parameters alone."""
    lines, results = _calls(step.hoisted, constants)
    names = [f"w{i}" if i < step.num_weights else f"v{i - step.num_weights}" for i in range(len(results))]
    made = [f"  {name} = {result}" for name, result in zip(names, results, strict=True)]
    return ["once a sequence (ordinary torch operators)", *lines, *made]


def _calls(function: Any, given: list[str]) -> tuple[list[str], list[str]]:
    """Return the calls of a traced function, a line each, and the names of its results."""
    lines: list[str] = []
    names: dict[fx.Node, str] = {}
    inputs = iter(given)
    for node in function.graph.nodes:
        if node.op == "placeholder":
            names[node] = next(inputs)
        elif node.op == "get_attr":
            names[node] = str(node.target)
        elif node.op == "call_function":
            names[node] = _call(node, names, lines)
        elif node.op == "output":
            return lines, [names.get(one, "None") for one in node.args[0]]
    return lines, []


def _call(node: fx.Node, names: dict[fx.Node, str], lines: list[str]) -> str:
    """Write the line of a call; return the name of its result."""
    arguments = [names[a] if isinstance(a, fx.Node) else "end" if a == sys.maxsize else str(a) for a in node.args]
    if node.target is operator.getitem:
        return f"{arguments[0]}[{arguments[1]}]"
    name = str(node.target).removeprefix("aten.").split(".")[0]
    if name in ("t", "detach") or (name == "permute" and node.args[1] == [1, 0]):
        plain = arguments[0]
        turned = plain.removesuffix(".T") if plain.endswith(".T") else f"{plain}.T"
        return plain if name == "detach" else turned
    lines.append(f"  {node.name} = {name}({', '.join(arguments)})")
    return node.name


def _both(step: Step, streams: list[str], carries: list[str], constants: list[str]) -> Iterable[str]:
    pair = step.pair
    assert pair is not None
    forward = _Printer("a", pair.forward, streams, carries)
    yield from forward.lines("forward, for t = 0, 1, …")
    saved = [forward.join(group) for group in pair.forward.outputs[1:]]
    yield f"  y[t] = {forward.join(pair.forward.outputs[0])}"
    yield from (f"  {name} = {forward.join(group)}" for name, group in zip(carries, pair.forward.carried, strict=True))
    yield f"  kept for the backward pass: {', '.join(saved)}"
    yield ""
    names = [*streams, *(f"kept({name})" for name in saved), "dy"]
    backward = _Printer("b", pair.backward, names, [f"d{name}" for name in carries])
    yield from backward.lines("backward, for t = …, 1, 0")
    count = len(pair.wanted_streams)
    written = [f"d{streams[i]}" for i in pair.wanted_streams]
    written += [f"r{i}" for i in range(len(pair.backward.outputs) - count)]
    for name, group in zip(written, pair.backward.outputs, strict=True):
        yield f"  {name}[t] = {backward.join(group)}"
    yield from (
        f"  d{name} = {backward.join(group)}" for name, group in zip(carries, pair.backward.carried, strict=True)
    )
    totals = [backward.join(group) for group in pair.backward.totals]
    yield from (f"  sum{i} += {total}" for i, total in enumerate(totals))
    yield ""
    yield "after the loop, over all steps and rows at once"
    products: list[str] = []
    for each in pair.contractions:
        if isinstance(each, int):
            products.append(f"sum{each}")
            continue
        operand = " | ".join(f"kept({saved[i]})" for i in each.operand)
        whole = each.width == width(pair.backward.outputs[each.output])
        cotangent = written[each.output] + ("" if whole else f"[{each.start}:{each.start + each.width}]")
        operand = f"({operand})" if len(each.operand) > 1 else operand
        left, right = (cotangent, operand) if each.flipped else (operand, cotangent)
        products.append(f"p{len(products)}")
        yield f"  {products[-1]} = {left}.T @ {right}"
    lines, results = _calls(step.epilogue, [*constants, *products])
    yield from lines
    yield from (f"  d{name} = {result}" for name, result in zip(constants, results, strict=True) if result != "None")


class _Printer:
    """Gives every value of a program a name or a short expression."""

    def __init__(self, letter: str, program: Program, streams: list[str], carries: list[str]) -> None:
        self.letter, self.program = letter, program
        self.inputs = {Op.STREAM: (streams, program.streams), Op.CARRY: (carries, program.carries)}
        self.inputs[Op.VECTOR] = ([f"v{i}" for i in range(len(program.vectors))], program.vectors)
        self.names: dict[Value, str] = {}

    def lines(self, title: str) -> Iterable[str]:
        yield title
        made: set[int] = set()
        count = 0
        for value in self.program.values():
            if value.op is Op.PRODUCT:
                index = value.columns.source
                if index not in made:
                    made.add(index)
                    yield f"  {self.letter}p{index} = {self.product(self.program.products[index])}"
                self.names[value] = self.columns(f"{self.letter}p{index}", value, self.program.products[index].width)
            elif value.op in self.inputs:
                names, widths = self.inputs[value.op]
                self.names[value] = self.columns(names[value.columns.source], value, widths[value.columns.source])
            elif value.op is Op.SCALAR:
                self.names[value] = f"{value.number:g}"
            elif value.op is Op.SPREAD:
                self.names[value] = self.names[value.args[0]]
            else:
                self.names[value] = f"{self.letter}{count}"
                count += 1
                yield f"  {self.names[value]} = {self.expression(value)}"

    def product(self, product: Product | Selection) -> str:
        operand = self.join(product.operand)
        operand = f"({operand})" if len(product.operand) > 1 else operand
        if isinstance(product, Selection):
            return f"{operand}[{', '.join(map(str, product.columns))}]"
        return f"{operand} @ w{product.weight}" + (".T" if product.transposed else "")

    def expression(self, value: Value) -> str:
        terms = [self.names[argument] for argument in value.args]
        if value.op in SIGNS:
            return f"{terms[0]} {SIGNS[value.op]} {terms[1]}"
        return f"-{terms[0]}" if value.op is Op.NEG else f"{value.op}({', '.join(terms)})"

    def columns(self, name: str, value: Value, whole: int) -> str:
        start = value.columns.start
        return name if value.width == whole else f"{name}[{start}:{start + value.width}]"

    def join(self, group: Iterable[Value]) -> str:
        return " | ".join(self.names[value] for value in group)


if __name__ == "__main__":
    main()
