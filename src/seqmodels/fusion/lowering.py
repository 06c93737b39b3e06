"""From the nodes of a traced graph to rows of values, in the order of the graph."""

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, fx

from seqmodels.fusion.lines import where
from seqmodels.fusion.moves import Moved, layers, move, settle, start
from seqmodels.fusion.operators import (
    BINARY,
    BITWISE,
    COMPARISONS,
    CREATED,
    FILLED,
    LOGICAL,
    MOVES,
    OF_TRUTHS,
    REDUCTIONS,
    SAME,
    SUMS,
    UNARY,
)
from seqmodels.fusion.rows import (
    Refused,
    Row,
    as_number,
    as_truth,
    broadcast,
    pointwise,
    reduction,
    row,
    scale,
    spread_pieces,
    without_batch,
)
from seqmodels.fusion.values import Builder

aten = torch.ops.aten
VALUES = 8000
"""How many values the two programs of a step may have: a kernel of more takes a compiler minutes."""

Found = Row | Moved | list[Moved]


class Lower:
    """Turns nodes of a traced graph into rows of values.

    Args:
        builder: makes the values.
        batch: the size of the batch that the graph was traced with.
        dtype: what the step computes in.
        known: rows of the nodes that are given: streams, carries, cotangents.
        weight_of: returns, for a node that is the right side of a product, which weight that is and whether it is
            transposed, or None where it depends on more than parameters.
        vector_of: returns the row of a node that depends on parameters alone, or None for any other.
        literal: returns the value of a node that depends on nothing at all, or None for any other.
        grain: the width that products are parted into where it divides theirs, or 0.
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
        grain: int = 0,
    ) -> None:
        self.builder, self.batch, self.dtype, self.grain = builder, batch, dtype, grain
        self.known: dict[fx.Node, Found] = dict(known)
        self.weight_of, self.vector_of, self.literal = weight_of, vector_of, literal

    def __call__(self, argument: Any) -> Row:
        """Return the row of a node, which is lowered with all that it needs, or of a number."""
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
                raise Refused(f"the step takes more than {VALUES} operators on parts of a row\n{where(node)}")

    def number(self, argument: Any) -> Row:
        """Return the row of a node or number, truth values as 0 and 1."""
        return as_number(self.builder, self(argument))

    def truth(self, argument: Any) -> Row:
        """Return the row of a node or number as truth values."""
        return as_truth(self.builder, self(argument))

    def _needed(self, wanted: fx.Node) -> list[fx.Node]:
        """Return the nodes that are not lowered yet and that ``wanted`` needs, each after those that it needs."""
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
        """Return the nodes whose rows a node needs: of a product's two sides the one that is no weight."""
        if self.vector_of(node) is not None or node.op != "call_function":
            return []
        if node.target in (aten.mm.default, aten.addmm.default):
            sides = [n for n in node.args[-2:] if isinstance(n, fx.Node) and self.weight_of(n) is None]
            return [*sides, *(n for n in node.args[:-2] if isinstance(n, fx.Node))]
        return node.all_input_nodes

    def _row(self, node: fx.Node) -> Row:
        found = self.known[node]
        try:
            if isinstance(found, Moved):
                found = self.known[node] = settle(self.builder, found)
            if isinstance(found, list):
                raise Refused(f"{node.target} gives several tensors where one is wanted")
        except Refused as error:
            raise _at(node, error) from None
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
            raise _at(node, error) from None
        return found

    def _check(self, node: fx.Node, found: Found) -> None:
        """Raise where a node is computed in a type that kernels do not have, or came out in another shape."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return
        if value.dtype not in (self.dtype, torch.bool) and value.dim() and not _is_count(node, value.dtype):
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
            return self._move(node)
        if target in REDUCTIONS:
            return self._reduce(node)
        if target in (aten.mm.default, aten.addmm.default):
            return self._product(node)
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
        return self._pointwise(node)

    def _pointwise(self, node: fx.Node) -> Row:
        build, target, args = self.builder, node.target, cast(Any, node.args)
        if target in COMPARISONS and not (target in OF_TRUTHS and self._are_truths(args)):
            return self._apply(COMPARISONS[target], *map(self.number, args))
        if target in OF_TRUTHS and self._are_truths(args):
            return self._logical(OF_TRUTHS[target], *map(self.truth, args))
        if target in LOGICAL:
            return self._logical(LOGICAL[target], *map(self.truth, args))
        if target in (aten.logical_not.default, aten.bitwise_not.default):
            return self._logical("xor", self.truth(args[0]), self(True))
        if target in UNARY:
            return self._apply(UNARY[target], self.number(args[0]))
        if target in SUMS:
            op, sign = SUMS[target]
            alpha = node.kwargs.get("alpha", args[2] if len(args) > 2 else 1)
            left, right = self.number(args[0]), scale(build, self.number(args[1]), float(cast(Any, alpha)))
            return self._apply(op if sign == 1 else "sub", left, right)
        if target is aten.reciprocal.default:
            return self._apply("div", self(1.0), self.number(args[0]))
        if target in BINARY and not node.kwargs:
            if BINARY[target] == "pow" and args[1] in (1, 2):
                one = self.number(args[0])
                return one if args[1] == 1 else self._apply("mul", one, one)
            return self._apply(BINARY[target], self.number(args[0]), self.number(args[1]))
        if target in (aten.clamp.default, aten.clamp_min.default, aten.clamp_max.default, aten.hardtanh.default):
            return self._clamp(node)
        if target in (aten.clamp.Tensor, aten.clamp_min.Tensor, aten.clamp_max.Tensor):
            return self._clamp(node)
        raise Refused(f"the operator {target} is none that a fused kernel can compute")

    def _apply(self, op: str, *rows: Row) -> Row:
        return pointwise(self.builder, op, rows)

    def _are_truths(self, arguments: Sequence[Any]) -> bool:
        values = [a.meta["val"] for a in arguments if isinstance(a, fx.Node)]
        return len(values) == 2 and all(v.dtype == torch.bool for v in values)

    def _logical(self, op: str, left: Row, right: Row) -> Row:
        """Apply "and", "or", "xor" or "eq" to truth values; those that are known to begin with go."""
        if op == "eq":
            return self._logical("xor", self._logical("xor", left, right), self(True))
        shape = tuple(torch.broadcast_shapes(left.shape, right.shape))
        both = [broadcast(self.builder, one, shape) for one in (left, right)]
        made = pointwise(self.builder, op, both)
        return Row(made.shape, tuple((self._simple(value), span) for value, span in made.pieces))

    def _simple(self, value: Any) -> Any:
        numbers = [a.data[0] if a.op == "scalar" else None for a in value.args]
        if value.op not in ("and", "or", "xor") or numbers == [None, None]:
            return value
        number, other = next((n, value.args[1 - i]) for i, n in enumerate(numbers) if n is not None)
        if value.op == "xor":
            return self.builder.apply("not", other) if number else other
        keeps = bool(number) == (value.op == "and")
        return other if keeps else self.builder.scalar(float(number))

    def _where(self, condition: Any, yes: Any, no: Any) -> Row:
        chosen = self.truth(condition)
        if all(isinstance(a, fx.Node) and a.meta["val"].dtype == torch.bool for a in (yes, no)):
            other = self._logical("xor", chosen, self(True))
            left, right = self._logical("and", chosen, self.truth(yes)), self._logical("and", other, self.truth(no))
            return self._logical("or", left, right)
        return self._apply("where", chosen, self.number(yes), self.number(no))

    def _clamp(self, node: fx.Node) -> Row:
        """Bound a row from below, then from above, where there is a bound."""
        one_sided: dict[Any, str] = {aten.clamp_max.default: "max", aten.clamp_max.Tensor: "max"}
        one_sided |= {aten.clamp_min.default: "min", aten.clamp_min.Tensor: "min"}
        names = [one_sided[node.target]] if node.target in one_sided else ["min", "max"]
        bounds = dict(zip(names, node.args[1:], strict=False)) | {k: v for k, v in node.kwargs.items() if k in names}
        if node.target is aten.hardtanh.default:
            bounds = {"min": -1.0, "max": 1.0} | bounds
        result = self.number(node.args[0])
        for name, op in (("min", "maximum"), ("max", "minimum")):
            if bounds.get(name) is not None:
                result = self._apply(op, result, self.number(bounds[name]))
        return result

    def _converted(self, node: fx.Node) -> Row:
        """Convert between truth values and numbers of the step's type; numbers of other types are refused later."""
        wanted = node.meta["val"].dtype
        return self.truth(node.args[0]) if wanted == torch.bool else self.number(node.args[0])

    def _product(self, node: fx.Node) -> Found:
        left, right = cast(Any, node.args[-2:])
        found = self.weight_of(right)
        if found is not None:
            operand, flipped = self.number(left), False
        else:  # W @ x.T: the batch is the last dimension, and the result is a transposed row
            found = self.weight_of(left)
            if found is None:
                raise Refused("a product of two values that both depend on the state")
            found = (found[0], not found[1])
            operand, flipped = settle(self.builder, self._moved(right)._replace(index=self._moved(right).index.t())), True
        weight, transposed = found
        width = int(node.meta["val"].shape[0 if flipped else 1])
        pieces = spread_pieces(self.builder, as_number(self.builder, operand).pieces)
        result = self._parted(self.builder.product(pieces, weight, transposed, width))
        if flipped:
            if node.target is aten.addmm.default:
                raise Refused("a bias along the batch")
            turned = start(result, batched=True)
            return turned._replace(index=turned.index.t())
        if node.target is aten.addmm.default:
            beta, alpha = (float(cast(Any, node.kwargs.get(k, 1))) for k in ("beta", "alpha"))
            bias = scale(self.builder, self.number(node.args[0]), beta)
            result = self._apply("add", bias, scale(self.builder, result, alpha))
        return result

    def _parted(self, value: Any) -> Row:
        """Return a product in parts of the grain: a sum over all its gates then needs the same parts as each gate."""
        if not self.grain or value.op != "product" or value.width % self.grain:
            return row(value)
        parts = [self.builder.cut(value, begin, self.grain) for begin in range(0, value.width, self.grain)]
        return Row((value.width,), tuple((part, self.grain) for part in parts))

    def _filled(self, node: fx.Node) -> Row:
        shape, name, target = tuple(node.meta["val"].shape), str(node.target), node.target
        number: Any = 0.0 if "zeros" in name or "empty" in name else 1.0 if "ones" in name else node.args[-1]
        if target in (aten.full.default, aten.full_like.default):
            number = node.args[1]
        elif target is aten.new_full.default:
            number = node.args[2]
        if not isinstance(number, bool | int | float):
            raise Refused(f"{target} of something that is not a number")
        sizes = shape[1:] if shape[:1] == (self.batch,) else without_batch(shape)
        return Row(sizes, ((self.builder.scalar(float(number)), prod(sizes)),))

    def _reduce(self, node: fx.Node) -> Row:
        op = REDUCTIONS[node.target]
        truths = node.meta["val"].dtype == torch.bool if isinstance(node.meta["val"], Tensor) else False
        one = self.number(node.args[0])
        given: Any = node.args[1] if len(node.args) > 1 else None
        keepdim = len(node.args) > 2 and node.args[2] is True
        dims = [given] if isinstance(given, int) else given
        dims = sorted(d % (len(one.shape) + 1) for d in dims) if dims else list(range(len(one.shape) + 1))
        if 0 in dims:
            raise Refused("an operator along the batch: a row may not see the others")
        name = {"mean": "sum", "any": "amax", "all": "amin"}.get(op, op)
        count = prod(one.shape[d - 1] for d in dims)
        for dim in reversed(dims):
            one = self._reduced(name, one, dim - 1)
        if keepdim:
            sizes = list(cast(Any, node.args[0]).meta["val"].shape[1:])
            one = Row(tuple(1 if d + 1 in dims else size for d, size in enumerate(sizes)), one.pieces)
        one = scale(self.builder, one, 1 / count) if op == "mean" else one
        return as_truth(self.builder, one) if truths else one

    def _reduced(self, op: str, one: Row, dim: int) -> Row:
        if dim == len(one.shape) - 1:
            return reduction(self.builder, op, one)
        parts = [settle(self.builder, self._select(one, dim, i)) for i in range(one.shape[dim])]
        whole = parts[0]
        for part in parts[1:]:
            whole = self._apply({"sum": "add", "amax": "maximum", "amin": "minimum"}[op], whole, part)
        return whole

    def _select(self, one: Row, dim: int, at: int) -> Moved:
        moved = start(one, batched=True)
        return moved._replace(index=moved.index.select(dim + 1, at))

    def _moved(self, node: fx.Node) -> Moved:
        """Return a node as moved numbers; a list is of no use here."""
        found = self.known[node]
        if isinstance(found, list):
            raise Refused(f"{node.target} gives several tensors where one is wanted")
        if isinstance(found, Moved):
            return found
        value = node.meta["val"]
        batched = value.shape[:1] == (self.batch,)
        shape = tuple(value.shape[1:]) if batched else tuple(value.shape)
        return start(Row(shape, found.pieces), batched=batched)

    def _move(self, node: fx.Node) -> Found:
        target, args = node.target, cast(Any, node.args)
        if target is operator.getitem:
            found = self.known[args[0]]
            assert isinstance(found, list), args[0].target
            return found[args[1]]
        if target is aten.constant_pad_nd.default and len(args) > 2 and args[2] != 0:
            return self._padded(node)
        if target is aten.index_put.default:
            return self._put(node)
        call: Any = aten.reshape.default if target in (aten.view.default, aten._unsafe_view.default) else target
        return move(call, self._for_move(args), self._for_move(node.kwargs), self.batch)

    def _for_move(self, tree: Any) -> Any:
        if isinstance(tree, fx.Node):
            value = tree.meta["val"]
            if isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool:
                index = self.literal(tree)
                if index is None:
                    raise Refused("an index that is computed, not written down")
                return index
            return self._moved(tree)
        if isinstance(tree, dict):
            return {key: self._for_move(value) for key, value in tree.items()}
        return [self._for_move(value) for value in tree] if isinstance(tree, list | tuple) else tree

    def _padded(self, node: fx.Node) -> Row:
        """Pad with another number than 0: where a padding of ones is 0."""
        args = cast(Any, node.args)
        padded = settle(self.builder, cast(Moved, move(node.target, self._for_move(args[:2]), {}, self.batch)))  # type: ignore[arg-type]
        ones = Row(self(args[0]).shape, ((self.builder.scalar(1.0), self(args[0]).width),))
        inside = move(node.target, [start(ones, batched=True), args[1]], {}, self.batch)  # type: ignore[arg-type]
        return self._apply("where", settle(self.builder, cast(Moved, inside)), padded, self(args[2]))

    def _put(self, node: fx.Node) -> Found:
        """Put values into places; where places may be named more than once the values are added up."""
        args = cast(Any, node.args)
        base, index, values = self._moved(args[0]), self._for_move(args[1]), self._moved(args[2])
        if not (len(args) > 3 and args[3]):
            return move(node.target, [base, index, values], {}, self.batch)  # type: ignore[arg-type]
        total = settle(self.builder, base)
        places = tuple(slice(None) if one is None else one for one in index)
        for layer in layers(base, places, values):
            total = self._apply("add", total, settle(self.builder, layer))
        return total

    def transposed(self, node: fx.Node) -> Row:
        """Return the row of a node that has the batch in its last dimension of two."""
        self._lower(node)
        moved = self._moved(node)
        return as_number(self.builder, settle(self.builder, moved._replace(index=moved.index.t())))


def _is_count(node: fx.Node, dtype: torch.dtype) -> bool:
    """Say whether a node holds integers that come of truth values and written numbers, which are exact.

    Others there are none: integers in the input and the state, and conversions of real numbers, are refused.
    """
    if dtype not in (torch.int64, torch.int32):
        return False
    given = cast(Any, node.args[0]).meta["val"].dtype if node.target is aten._to_copy.default else dtype
    return not given.is_floating_point


def _at(node: fx.Node, error: Refused) -> Refused:
    """Return an error that names the line that a node comes from."""
    return error if "\n" in str(error) else Refused(f"{error}\n{where(node)}")
