"""From the traced graph of a step to its programs, and to what is computed once a sequence around them.

Nodes that depend on parameters alone are *hoisted*: transposes, slices and normalisations of weights are computed once
per sequence, before the loop. The *epilogue* computes the gradients of parameters from sums over the batch, after it.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, fx

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.adjoint import Contraction, Gradients, Pair, derive, late_values
from seqmodels.fusion.lowering.epilogue import contractions, function
from seqmodels.fusion.lowering.lower import TOO_MANY, Lower
from seqmodels.fusion.lowering.operators import CREATED
from seqmodels.fusion.lowering.rows import Row, as_truth, spread_pieces, without_batch
from seqmodels.fusion.ops import Op
from seqmodels.fusion.program import Program
from seqmodels.fusion.tracing.form import BATCH, Leaf
from seqmodels.fusion.tracing.graph import Graph
from seqmodels.fusion.tracing.trace import WIDE
from seqmodels.fusion.values import Value

aten = torch.ops.aten
VALUES = 2000
"""Most values of a program: a compiler takes some ten seconds for them."""
TRANSPOSED = {aten.t.default, aten.transpose.int, aten.permute.default}


@dataclass(frozen=True)
class Step:
    """A step as programs.

    ``hoisted`` maps the constants to weights and vectors; ``epilogue`` maps the constants and the sums over all steps
    to the gradients of all constants, None where none is wanted.
    """

    streams: tuple[Leaf, ...]
    carries: tuple[Leaf, ...]
    constants: tuple[Leaf, ...]
    output: torch.dtype
    dtype: torch.dtype  # what the programs compute in
    hoisted: Callable[..., Sequence[Tensor]]
    num_weights: int
    forward: Program  # keeps nothing
    pair: Pair | None  # None where no gradient is wanted
    epilogue: Callable[..., Sequence[Tensor | None]] | None
    sums: tuple[tuple[int, ...], ...]  # the shapes of the sums that the epilogue takes


def lowered(graph: Graph) -> Step:
    """Lower a traced step.

    Raises:
        Refused: the step does something that a program cannot; the message says what and where.
    """
    return _Lowering(graph).step()


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.dtype, self.builder = graph, _common(graph), Builder()
        streams, carries, self.given, cotangents = graph.nodes
        self.constant = _constant_nodes(graph.module.graph, self.given)
        self.weights: list[fx.Node] = []
        self.vectors: dict[fx.Node, Row] = {}
        ends = [Leaf(graph.output[1], graph.output[0], torch.device("cpu"), False), *graph.carries]
        kinds = (
            (Op.STREAM, streams, graph.streams),
            (Op.CARRY, carries, graph.carries),
            (Op.COTANGENT, cotangents, ends),
        )
        known = {
            node: self._leaf(op, index, leaf)
            for op, nodes, leaves in kinds
            for index, (node, leaf) in enumerate(zip(nodes, leaves, strict=True))
        }
        gate_width = prod(graph.carries[0].shape) if graph.carries else 0
        asked = self._weight_of, self._vector_of, self._literal
        traced = WIDE.get(self.dtype, self.dtype)
        self.lower = Lower(self.builder, BATCH, traced, known, *asked, gate_width)

    def step(self) -> Step:
        graph, build = self.graph, self.builder
        results, gradients = graph.outcome
        output, *state = (self._values(self.lower.number(node)) for node in results)
        products = tuple(build.products)
        inner = len(graph.streams) + len(graph.carries)
        of_constants = [*gradients[inner:], *[None] * (len(graph.constants) - len(gradients[inner:]))]
        sums, after = contractions([n for n in of_constants if n is not None], self.constant)
        d = None
        if graph.grad:
            d = self._gradients(gradients[:inner], sums, len(products))
        sizes = [tuple(prod(leaf.shape) for leaf in kind) for kind in (graph.streams, graph.carries)]
        vectors = tuple(row.width for row in self.vectors.values())
        forward = Program(sizes[0], sizes[1], vectors, products, (output,), tuple(state))
        module, constant = graph.module, self.constant
        hoisted = function(module, self.given, constant, [], [], [*self.weights, *self.vectors])
        epilogue = None if d is None else function(module, self.given, constant, sums, after, of_constants)
        leaves = graph.streams, graph.carries, graph.constants, graph.output[0], self.dtype
        pair = None if d is None else derive(forward, build, d)
        for program in (forward,) if pair is None else (pair.forward, pair.backward):
            if len(program.values()) > VALUES:
                raise Refused(TOO_MANY)
        shapes = tuple(
            tuple(cast(Any, n if n.target is aten.mm.default else n.args[0]).meta["val"].shape) for n in sums
        )
        shapes = tuple((1, *shape[1:]) if shape[:1] == (BATCH,) else shape for shape in shapes)
        return Step(*leaves, hoisted, len(self.weights), forward, pair, epilogue, shapes)

    def _gradients(self, wanted: list[Any], sums: list[fx.Node], forward_products: int) -> Gradients:
        count = len(self.graph.streams)
        streams = [None if node is None else self._values(self.lower.number(node)) for node in wanted[:count]]
        carries = [
            (self.builder.spread(self.builder.scalar(0.0), prod(leaf.shape)),)
            if node is None
            else self._values(self.lower.number(node))
            for node, leaf in zip(wanted[count:], self.graph.carries, strict=True)
        ]
        return Gradients(tuple(streams), tuple(carries), tuple(self._contraction(n, forward_products) for n in sums))

    def _contraction(self, node: fx.Node, forward_products: int) -> Contraction:
        """Return what a node of the graph sums over the batch: products of two rows, or one row."""
        if node.target is not aten.mm.default:
            return Contraction(self._values(self.lower.number(node.args[0])), None, False)
        left = self._values(self.lower.transposed(cast(fx.Node, node.args[0])))
        right = self._values(self.lower.number(node.args[1]))
        late = late_values([*left, *right], self.builder, forward_products)
        sides = [any(value in late for value in side) for side in (left, right)]
        if all(sides):
            raise Refused("a gradient is multiplied with itself")
        return Contraction(left, right, True) if sides[0] else Contraction(right, left, False)

    def _leaf(self, op: Op, index: int, leaf: Leaf) -> Row:
        size = prod(leaf.shape)
        if size == 0:
            raise Refused(f"a {op} of width 0")
        row = Row(leaf.shape, ((self.builder.leaf(op, index, 0, size), size),))
        return as_truth(self.builder, row) if leaf.dtype == torch.bool else row

    def _values(self, row: Row) -> tuple[Value, ...]:
        return tuple(spread_pieces(self.builder, row.pieces))

    def _weight_of(self, node: Any) -> tuple[int, bool] | None:
        if not isinstance(node, fx.Node) or node not in self.constant:
            return None
        base, transposed = node, False
        while base.target in TRANSPOSED and cast(Any, base.args[0]).meta["val"].dim() == 2 and _swaps(base):
            base, transposed = cast(fx.Node, base.args[0]), not transposed
        if base not in self.weights:
            self.weights.append(base)
        return self.weights.index(base), transposed

    def _vector_of(self, node: fx.Node) -> Row | None:
        if node not in self.constant or node.target in CREATED:
            return None
        if node in self.vectors:
            return self._typed(node, self.vectors[node])
        number = self._literal(node)
        if number is not None and number.numel() == 1:
            return Row((), ((self.builder.scalar(float(number)), 1),))
        shape = without_batch(tuple(node.meta["val"].shape))
        leaf = self.builder.leaf(Op.VECTOR, len(self.vectors), 0, prod(shape))
        self.vectors[node] = Row(shape, ((leaf, prod(shape)),))
        return self._typed(node, self.vectors[node])

    def _typed(self, node: fx.Node, row: Row) -> Row:
        return as_truth(self.builder, row) if node.meta["val"].dtype == torch.bool else row

    def _literal(self, node: fx.Node) -> Tensor | None:
        """Return the value of a node that depends on literals in the step alone."""
        if node not in self.constant or node.op == "placeholder":
            return None
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.graph.module)
        inputs = {one: self._literal(one) for one in node.all_input_nodes}
        if any(value is None for value in inputs.values()):
            return None
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), inputs.__getitem__)
        return cast(Any, node.target)(*args, **kwargs)


def _swaps(node: fx.Node) -> bool:
    """Return whether a node, a transpose or permutation of a matrix, swaps its dimensions."""
    given = node.args[1:]
    return not given or given in ((0, 1), (1, 0), (-1, -2), (-2, -1), ([1, 0],))


def _common(graph: Graph) -> torch.dtype:
    """Return the floating dtype that a step's input and state have in common.

    Raises:
        Refused: there is none, or there are others beside truth values.
    """
    dtypes = {leaf.dtype for leaf in (*graph.streams, *graph.carries)} - {torch.bool}
    odd = [dtype for dtype in dtypes if not dtype.is_floating_point]
    if odd:
        what = "complex numbers" if odd[0].is_complex else "integers"
        raise Refused(f"{what} in the projected input or the state ({odd[0]})")
    if len(dtypes) != 1:
        names = " and ".join(sorted(map(str, dtypes))) or "no numbers"
        raise Refused(f"a projected input and a state of {names}: a step is computed in one type")
    return dtypes.pop()


def _constant_nodes(graph: fx.Graph, given: list[fx.Node]) -> dict[fx.Node, None]:
    """Return the nodes that depend on nothing but parameters, fixed inputs and literals, in order."""
    constant: dict[fx.Node, None] = dict.fromkeys(given)
    for node in graph.nodes:
        call = node.op == "call_function" and all(n in constant for n in node.all_input_nodes)
        if node.op == "get_attr" or (call and not _for_each_row(node)):
            constant[node] = None
    return constant


def _for_each_row(node: fx.Node) -> bool:
    """Return whether a node expands a constant to every row: its shape is that of the traced batch."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and BATCH in value.shape
