"""Lowers the nodes of a traced graph to rows of values, in the order of the graph."""

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

from seqmodels.errors import Refused
from seqmodels.fusion.builder import Builder
from seqmodels.fusion.lowering.lower_moves import lower_move
from seqmodels.fusion.lowering.lower_products import has_batch_last, lower_product
from seqmodels.fusion.lowering.moves import Found, Moved, settle, start
from seqmodels.fusion.lowering.operators import (
    BINARY,
    BITWISE,
    CLAMPS,
    COMPARISONS,
    CREATED,
    FILLED,
    LOGICAL,
    MEANS,
    MOVES,
    OF_TRUTHS,
    REDUCTIONS,
    SAME,
    SUMS,
    UNARY,
    is_count,
)
from seqmodels.fusion.lowering.reductions import reduction
from seqmodels.fusion.lowering.rows import (
    Row,
    as_number,
    as_truth,
    broadcast,
    logical,
    negation,
    pointwise,
    scale,
    without_batch,
)
from seqmodels.fusion.ops import Op
from seqmodels.fusion.tracing.lines import at_line, where

aten = torch.ops.aten
VALUES = 20_000
"""Most values that are created while a step is lowered, which takes a second or two."""

TOO_MANY = "the step takes thousands of operators on parts of a row, whose kernel would take minutes to compile"


class Lower:
    """Turns nodes of a traced graph into rows of values.

    Args:
        builder: makes the values.
        batch: the size of the batch that the graph was traced with.
        dtype: what the step computes in.
        known: rows of the inputs: streams, carries, cotangents.
        weight_of: returns which weight a node is and whether it is transposed, or None if it depends on more than
            parameters.
        vector_of: returns the row of a node that depends on parameters alone, or None for any other.
        literal: returns the value of a node that depends on literals alone, or None for any other.
        gate_width: the width of the parts that products are split into where it divides theirs, or 0.
    """

    def __init__(
        self,
        builder: Builder,
        batch: int,
        dtype: torch.dtype,
        known: dict[fx.Node, Row],
        weight_of: Callable[[fx.Node], tuple[int, bool] | None],
        vector_of: Callable[[fx.Node], Row | None],
        literal: Callable[[fx.Node], Tensor | None],
        gate_width: int = 0,
    ) -> None:
        self.builder, self.batch, self.dtype, self.gate_width = builder, batch, dtype, gate_width
        self.known: dict[fx.Node, Found] = dict(known)
        self.batch_last = False  # whether the node that is being lowered has the batch last
        self.weight_of, self.vector_of, self.literal = weight_of, vector_of, literal

    def __call__(self, argument: Argument) -> Row:
        """Return the row of a number or a node, which is lowered with all that it needs."""
        if not isinstance(argument, fx.Node):
            if isinstance(argument, bool | int | float):
                return Row((), ((self.builder.scalar(float(argument)), 1),))
            raise Refused(f"{argument!r} is neither a tensor nor a number")
        self._lower(argument)
        return self._row(argument)

    def _lower(self, wanted: fx.Node) -> None:
        for node in self._needed(wanted):
            self.known[node] = self._node(node)
            if self.builder.size > VALUES:
                raise Refused(f"{TOO_MANY}\n{where(node)}")

    def number(self, argument: Argument) -> Row:
        """Return the row of a node or number, truth values as 0 and 1."""
        return as_number(self.builder, self(argument))

    def truth(self, argument: Argument) -> Row:
        """Return the row of a node or number as truth values."""
        return as_truth(self.builder, self(argument))

    def _needed(self, wanted: fx.Node) -> list[fx.Node]:
        """Return the nodes that ``wanted`` needs and that are not lowered yet, arguments before their users."""
        found: dict[fx.Node, None] = {}
        stack = [(wanted, False)]
        while stack:
            node, ready = stack.pop()
            if node in self.known or node in found:
                continue
            if ready:
                found[node] = None
                continue
            stack.append((node, True))
            stack += [(argument, False) for argument in reversed(self._arguments(node))]
        return list(found)

    def _arguments(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes whose rows a node needs; a weight has no row."""
        if self.vector_of(node) is not None or node.op != "call_function":
            return []
        if node.target in (aten.mm.default, aten.addmm.default):
            sides = [n for n in node.args[-2:] if isinstance(n, fx.Node) and self.weight_of(n) is None]
            return [*sides, *(n for n in node.args[:-2] if isinstance(n, fx.Node))]
        return node.all_input_nodes

    def _row(self, node: fx.Node) -> Row:
        found = self.known[node]
        if self.batch_last and node.meta["val"].dim() == 2:
            if self.batch in node.meta["val"].shape:
                moved = self.moved(node)
                return settle(self.builder, moved._replace(places=moved.places.t()))
            assert isinstance(found, Row)  # a column that is broadcast to every row
            return Row((found.width,), found.pieces)
        try:
            if isinstance(found, Moved):
                found = self.known[node] = settle(self.builder, found)
            if isinstance(found, list):
                raise Refused(f"{node.target} gives several tensors where one is wanted")
        except Refused as error:
            raise at_line(node, error) from None
        return found

    def _node(self, node: fx.Node) -> Found:
        try:
            if (vector := self.vector_of(node)) is not None:
                return vector
            if node.op != "call_function":
                raise Refused(f"{node.name} is a {node.op}")
            found = self._call(node)
            self._check(node, found)
        except Refused as error:
            raise at_line(node, error) from None
        return found

    def _check(self, node: fx.Node, found: Found) -> None:
        """Raise if a node has a dtype that kernels do not have, or its row another shape than the node."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return
        if value.dtype not in (self.dtype, torch.bool) and value.dim() and not is_count(node, value.dtype):
            raise Refused(f"a tensor of {value.dtype} in a step that is computed in {self.dtype}")
        if node.target in BITWISE and value.dtype != torch.bool:
            raise Refused(f"the bits of {value.dtype}")
        if isinstance(found, Row) and value.shape[:1] == (self.batch,) and found.shape != tuple(value.shape[1:]):
            raise Refused(f"the operator {node.target} has a shape of its own")

    def _call(self, node: fx.Node) -> Found:
        target, args = node.target, cast(Any, node.args)
        if target in SAME:
            return self.known[args[0]]
        if target in MOVES or target is operator.getitem:
            return lower_move(self, node)
        if target in REDUCTIONS:
            return self._reduce(node)
        if target in (aten.mm.default, aten.addmm.default):
            return lower_product(self, node)
        if target in FILLED or target in CREATED:
            return self._filled(node)
        if target in (aten.fill.Scalar, aten.fill.Tensor):
            return broadcast(self.builder, self(args[1]), tuple(node.meta["val"].shape[1:]))
        if target is aten._to_copy.default:
            return self._converted(node)
        if target is aten.where.self:
            return self._where(args[0], args[1], args[2])
        if target in (aten.masked_fill.Scalar, aten.masked_fill.Tensor):
            return self._where(args[1], args[2], args[0])
        return self._transposed(node) if has_batch_last(node, self.batch) else self._pointwise(node)

    def _transposed(self, node: fx.Node) -> Moved:
        """Lower a pointwise node that has the batch last, as in ``tanh(W @ x.T)``, by its transposed rows."""
        self.batch_last = True
        try:
            moved = start(self._pointwise(node), batched=True)
        finally:
            self.batch_last = False
        return moved._replace(places=moved.places.t())

    def _pointwise(self, node: fx.Node) -> Row:
        build, target, args = self.builder, node.target, cast(Any, node.args)
        if target in COMPARISONS and not (target in OF_TRUTHS and self._are_truths(args)):
            return self._apply(COMPARISONS[target], *map(self.number, args))
        if target in OF_TRUTHS and self._are_truths(args):
            return self._logical(OF_TRUTHS[target], *args)
        if target in LOGICAL:
            op = LOGICAL[target]
            return negation(build, self.truth(args[0])) if op is Op.NOT else self._logical(op, *args)
        if target in UNARY:
            return self._apply(UNARY[target], self.number(args[0]))
        if target in SUMS:
            alpha = node.kwargs.get("alpha", args[2] if len(args) > 2 else 1)
            left, right = self.number(args[0]), scale(build, self.number(args[1]), float(cast(Any, alpha)))
            return self._apply(SUMS[target], left, right)
        if target is aten.reciprocal.default:
            return self._apply(Op.DIV, self(1.0), self.number(args[0]))
        if target in BINARY and not node.kwargs:
            if BINARY[target] is Op.POW and args[1] in (1, 2):
                one = self.number(args[0])
                return one if args[1] == 1 else self._apply(Op.MUL, one, one)
            return self._apply(BINARY[target], self.number(args[0]), self.number(args[1]))
        if target in CLAMPS:
            return self._clamp(node, CLAMPS[target])
        raise Refused(f"the operator {target} is none that a fused kernel can compute")

    def _apply(self, op: Op, *rows: Row) -> Row:
        return pointwise(self.builder, op, rows)

    def _are_truths(self, arguments: Sequence[Argument]) -> bool:
        values = [a.meta["val"] for a in arguments if isinstance(a, fx.Node)]
        return len(values) == 2 and all(v.dtype == torch.bool for v in values)

    def _logical(self, op: Op, left: Argument, right: Argument) -> Row:
        return logical(self.builder, op, self.truth(left), self.truth(right))

    def _where(self, condition: Argument, yes: Argument, no: Argument) -> Row:
        build, chosen = self.builder, self.truth(condition)
        if all(isinstance(a, fx.Node) and a.meta["val"].dtype == torch.bool for a in (yes, no)):
            left = logical(build, Op.AND, chosen, self.truth(yes))
            return logical(build, Op.OR, left, logical(build, Op.AND, negation(build, chosen), self.truth(no)))
        return self._apply(Op.WHERE, chosen, self.number(yes), self.number(no))

    def _clamp(self, node: fx.Node, names: Sequence[str]) -> Row:
        """Bound a row from below, then from above, where there is a bound."""
        bounds = dict(zip(names, node.args[1:], strict=False)) | {k: v for k, v in node.kwargs.items() if k in names}
        if node.target is aten.hardtanh.default:
            bounds = {"min": -1.0, "max": 1.0} | bounds
        result = self.number(node.args[0])
        for name, op in (("min", Op.MAXIMUM), ("max", Op.MINIMUM)):
            if bounds.get(name) is not None:
                result = self._apply(op, result, self.number(bounds[name]))
        return result

    def _converted(self, node: fx.Node) -> Row:
        """Convert between truth values and numbers of the step's dtype; other dtypes are refused by :meth:`_check`."""
        return (self.truth if node.meta["val"].dtype == torch.bool else self.number)(node.args[0])

    def _filled(self, node: fx.Node) -> Row:
        shape, name, target = tuple(node.meta["val"].shape), str(node.target), node.target
        place = {aten.full.default: 1, aten.full_like.default: 1, aten.new_full.default: 2}.get(cast(Any, target), -1)
        number = 0.0 if "zeros" in name or "empty" in name else 1.0 if "ones" in name else node.args[place]
        if not isinstance(number, bool | int | float):
            raise Refused(f"{target} of something that is not a number")
        sizes = shape[1:] if shape[:1] == (self.batch,) else without_batch(shape)
        return Row(sizes, ((self.builder.scalar(float(number)), prod(sizes)),))

    def _reduce(self, node: fx.Node) -> Row:
        op, one = REDUCTIONS[cast(Any, node.target)], self.number(node.args[0])
        given: Any = node.args[1] if len(node.args) > 1 else None
        dims = [given] if isinstance(given, int) else given
        dims = [d % (len(one.shape) + 1) - 1 for d in dims] if dims else list(range(-1, len(one.shape)))
        if -1 in dims:
            raise Refused("an operator along the batch: a row may not see the others")
        result = reduction(self.builder, op, one, dims, keepdim=len(node.args) > 2 and node.args[2] is True)
        if node.target in MEANS:
            result = scale(self.builder, result, 1 / prod(one.shape[dim] for dim in dims))
        return as_truth(self.builder, result) if node.meta["val"].dtype == torch.bool else result

    def moved(self, node: fx.Node) -> Moved:
        """Return a node as moved numbers."""
        found = self.known[node]
        if isinstance(found, list):
            raise Refused(f"{node.target} gives several tensors where one is wanted")
        if isinstance(found, Moved):
            return found
        value = node.meta["val"]
        batched = value.shape[:1] == (self.batch,)
        return start(Row(tuple(value.shape)[batched:], found.pieces), batched=batched)

    def transposed(self, node: fx.Node) -> Row:
        """Return the row of a node that has the batch in its last dimension of two."""
        self._lower(node)
        moved = self.moved(node)
        return as_number(self.builder, settle(self.builder, moved._replace(places=moved.places.t())))
