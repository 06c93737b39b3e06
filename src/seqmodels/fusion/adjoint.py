"""The backward program of a step, derived from PyTorch's own derivative formulas.

Everything between products is pointwise (or a sum along a row), so one vector-Jacobian product of all of it together,
traced once, is the whole adjoint: its inputs are the leaves, the products' results and the cotangents. The cotangent of
a product's operand is that product's cotangent times the transposed weight, a product again. Gradients of weights and
of vectors do not appear in the loop: the program only writes, or adds up, the rows that they are made of afterwards.

What the backward pass needs of the forward pass is stored or computed again by one rule: leaves of the state, results
of products and of anything dearer than arithmetic are stored; arithmetic on these is computed again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, fx
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from seqmodels.fusion.decompositions import DECOMPOSITIONS
from seqmodels.fusion.lowering import Lower
from seqmodels.fusion.program import Mover, Program, width
from seqmodels.fusion.rows import Row, cut, row
from seqmodels.fusion.trace import BATCH, Step
from seqmodels.fusion.values import CHEAP, Builder, Value, evaluate, walk

GIVEN = ("stream", "vector", "scalar")
"""Leaves that the backward program has anyway."""


@dataclass(frozen=True)
class WeightGradient:
    """One weight's gradient: saved operands side by side, times columns of an output stream, over all steps."""

    weight: int
    transposed: bool
    operand: tuple[int, ...]  # the saved values side by side that were multiplied
    output: int  # which output stream of the backward program holds the product's cotangent
    start: int  # its first column there
    width: int


@dataclass(frozen=True)
class Pair:
    """Forward with what the backward pass needs, and the backward pass for the inputs that want a gradient.

    Forward outputs: the step's output, then each saved value. Backward streams: those of the forward program, the saved
    values, the output's cotangent; the first outputs of the backward program are the cotangents of ``wanted_streams``,
    its totals those of ``wanted_vectors``.
    """

    forward: Program
    backward: Program
    wanted_streams: tuple[int, ...]
    wanted_vectors: tuple[int, ...]
    weight_gradients: tuple[WeightGradient, ...]
    reads: frozenset[int]  # the streams that the backward program reads


def inference(step: Step) -> Program:
    """Return the forward program that keeps nothing."""
    y, carried = _spread(step.builder, step.output), tuple(_spread(step.builder, one) for one in step.state)
    widths = (tuple(_size(s) for s in step.streams), tuple(_size(s) for s in step.carries), step.vectors)
    return Program(*widths, step.products, (y,), carried)


def derive(step: Step, streams: Sequence[bool], weights: Sequence[bool], vectors: Sequence[bool]) -> Pair:
    """Derive both programs; the arguments say which streams, weights and vectors want a gradient."""
    plain, build = inference(step), step.builder
    forward_products = len(step.products)
    needed = sorted({value.data[0] for value in plain.values() if value.op == "product"})
    gradients = _gradients(step, plain, needed)
    d_streams = [gradients("stream", i, w) for i, w in enumerate(plain.streams) if streams[i]]
    d_products = {j: gradients("product", j, build.products[j].width) for j in needed}
    d_carries = [gradients("carry", i, w) for i, w in enumerate(plain.carries)]
    d_vectors = [gradients("vector", i, w) for i, w in enumerate(plain.vectors) if vectors[i]]
    heavy = [j for j in needed if weights[build.products[j].weight]]

    groups = [*d_streams]
    places = {}
    for j in heavy:
        places[j] = _place(groups, d_products[j])
    used = [v for group in (*groups, *d_carries, *d_vectors) for v in group]
    saved = list(dict.fromkeys(piece for j in heavy for piece in build.products[j].operand))
    saved = _saved(used, build, forward_products, saved)
    backward = _rewrite(plain, build, forward_products, saved, groups, d_carries, d_vectors)
    weight_gradients = tuple(
        WeightGradient(
            build.products[j].weight,
            build.products[j].transposed,
            tuple(saved.index(piece) for piece in build.products[j].operand),
            *places[j],
            build.products[j].width,
        )
        for j in heavy
    )
    outputs = (plain.outputs[0], *((value,) for value in saved))
    forward = Program(plain.streams, plain.carries, plain.vectors, plain.products, outputs, plain.carried)
    wanted_streams, wanted_vectors = (tuple(i for i, w in enumerate(kind) if w) for kind in (streams, vectors))
    reads = frozenset(value.data[0] for value in backward.values() if value.op == "stream")
    return Pair(forward, backward, wanted_streams, wanted_vectors, weight_gradients, reads)


def _gradients(step: Step, plain: Program, needed: list[int]) -> Callable[[str, int, int], tuple[Value, ...]]:
    """Trace the pointwise adjoint; return a function from a leaf or product to the values of its gradient."""
    build = step.builder
    operands = {j: build.products[j].operand for j in needed}
    roots = [
        *plain.outputs[0],
        *(v for group in plain.carried for v in group),
        *(v for j in needed for v in operands[j]),
    ]
    atoms = [v for v in walk(roots, build.products) if v.op in ("stream", "carry", "vector", "product")]

    def region(*tensors: Tensor) -> tuple[Tensor, ...]:
        known = dict(zip(atoms, tensors, strict=True))
        return tuple(evaluate(root, known) for root in roots)

    def adjoint(*tensors: Tensor) -> tuple[Tensor, ...]:
        _, pull, *_ = torch.func.vjp(region, *tensors[: len(atoms)])
        return pull(tuple(tensors[len(atoms) :]))

    with FakeTensorMode():
        fakes = [torch.empty(BATCH, value.width) for value in (*atoms, *roots)]
        graph = make_fx(torch.func.functionalize(adjoint), DECOMPOSITIONS)(*fakes).graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    results = dict(zip(atoms, next(n for n in graph.nodes if n.op == "output").args[0], strict=True))
    known = {node: row(value) for node, value in zip(inputs, atoms, strict=False)}
    cotangents = iter(inputs[len(atoms) :])
    for index, group in enumerate([plain.outputs[0], *plain.carried]):
        offset = 0
        for value in group:
            known[next(cotangents)] = row(build.leaf("cotangent", index, offset, value.width))
            offset += value.width
    pulled: dict[fx.Node, tuple[int, int, int]] = {}  # the cotangents of operands: product, first column, width
    for j in needed:
        offset = 0
        for value in operands[j]:
            pulled[next(cotangents)] = (j, offset, value.width)
            offset += value.width

    def operand_cotangent(node: fx.Node) -> Row | None:
        if node not in pulled:
            return None
        j, offset, size = pulled[node]
        product = build.products[j]
        whole = build.product(
            gradient("product", j, product.width), product.weight, not product.transposed, product.depth
        )
        return row(build.cut(whole, offset, size))

    lower = Lower(build, BATCH, known, lambda _: None, operand_cotangent)

    def gradient(kind: str, index: int, total: int) -> tuple[Value, ...]:
        mine = [value for value in atoms if value.op == kind and value.data[0] == index]
        edges = {0, total} | {v.data[1] for v in mine} | {v.data[1] + v.width for v in mine}
        bounds = sorted(edges)
        found = []
        for start, end in pairwise(bounds):
            whole = build.scalar(0.0)
            for value in mine:
                offset = start - value.data[1]
                if 0 <= offset < value.width:
                    part = cut(build, lower.number(results[value]).pieces, offset, end - start)
                    whole = build.apply("add", whole, part[0][0])
            found.append(build.spread(whole, end - start))
        return tuple(found)

    return gradient


def _place(groups: list[tuple[Value, ...]], wanted: tuple[Value, ...]) -> tuple[int, int]:
    """Find values side by side in a group that is written anyway, or add a group; return its index and first column."""
    for index, group in enumerate(groups):
        for start in range(len(group) - len(wanted) + 1):
            if group[start : start + len(wanted)] == wanted:
                return index, width(group[:start])
    groups.append(wanted)
    return len(groups) - 1, 0


def _saved(used: list[Value], build: Builder, forward_products: int, saved: list[Value]) -> list[Value]:
    """Extend ``saved`` by what the backward values ``used`` need of the forward pass."""
    late = _late(used, build, forward_products)
    kept, seen = dict.fromkeys(saved), set()

    def visit(value: Value) -> None:
        if value in seen or value in kept:
            return
        seen.add(value)
        if value in late:
            for argument in build.products[value.data[0]].operand if value.op == "product" else value.args:
                visit(argument)
        elif value.op in ("carry", "product") or (value.args and value.op not in CHEAP and value.op != "spread"):
            kept[value] = None
        elif value.op in ("eq", "ne"):  # computed again, a number may be another one in its last bit
            kept.update((argument, None) for argument in value.args if argument.op not in GIVEN)
        else:
            for argument in value.args:
                visit(argument)

    for value in used:
        visit(value)
    return list(kept)


def _late(used: list[Value], build: Builder, forward_products: int) -> set[Value]:
    """Return the values that depend on a cotangent, which exist in the backward pass alone."""
    late: set[Value] = set()
    for value in walk(used, build.products):
        if (
            value.op == "cotangent"
            or (value.op == "product" and value.data[0] >= forward_products)
            or any(argument in late for argument in value.args)
        ):
            late.add(value)
    return late


def _rewrite(
    plain: Program,
    build: Builder,
    forward_products: int,
    saved: list[Value],
    groups: list[tuple[Value, ...]],
    carries: list[tuple[Value, ...]],
    vectors: list[tuple[Value, ...]],
) -> Program:
    """Write the backward program: what was saved becomes streams, cotangents become a stream and the carries."""
    given = len(plain.streams)

    def change(mover: Mover, value: Value) -> Value | None:
        if value in places:
            return mover.builder.leaf("stream", given + places[value], 0, value.width)
        if value.op == "cotangent":
            index, offset = value.data
            if index == 0:
                return mover.builder.leaf("stream", given + len(saved), offset, value.width)
            return mover.builder.leaf("carry", index - 1, offset, value.width)
        if value.op == "product":
            assert value.data[0] >= forward_products, "the result of a forward product is saved where it is needed"
        return None

    places = {value: index for index, value in enumerate(saved)}
    move = Mover(build.products, change)
    moved = [move.groups(kind) for kind in (groups, carries, vectors)]
    streams = (*plain.streams, *(value.width for value in saved), width(plain.outputs[0]))
    return Program(
        streams,
        plain.carries,
        plain.vectors,
        tuple(move.builder.products),
        moved[0],
        moved[1],
        moved[2],
        backwards=True,
    )


def _spread(builder: Builder, one: Row) -> tuple[Value, ...]:
    return tuple(builder.spread(value, span) for value, span in one.pieces)


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
