"""Which ATen operators a step may use, and the values each becomes."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import fx

from seqmodels.fusion.lines import where
from seqmodels.fusion.operators import BINARY, CREATED, FILLED, SAME, SUMS, UNARY, VIEWS
from seqmodels.fusion.rows import (
    Refused,
    Row,
    as_number,
    broadcast,
    concatenate,
    narrow,
    pointwise,
    reduction,
    reshape,
    row,
    scale,
)
from seqmodels.fusion.values import Builder, Value

aten = torch.ops.aten


class Lower:
    """Turns nodes of a traced graph into rows of values, on demand.

    ``known`` holds the nodes whose rows are known from the start. ``weight_of`` says, for a node that is the right side
    of a product, which weight that is and whether it is transposed, or None when it is no weight; ``vector_of`` gives
    the row of a node that depends on parameters alone, or None for any other. ``grain`` is the width that products are
    parted into where it divides theirs, or 0.
    """

    def __init__(
        self,
        builder: Builder,
        batch: int,
        known: dict[fx.Node, Row],
        weight_of: Callable[[fx.Node], tuple[int, bool] | None],
        vector_of: Callable[[fx.Node], Row | None],
        grain: int = 0,
    ) -> None:
        self.builder = builder
        self.batch = batch
        self.known: dict[fx.Node, Any] = dict(known)
        self.weight_of = weight_of
        self.vector_of = vector_of
        self.grain = grain

    def __call__(self, argument: Any) -> Row:
        """Return the row of a node or number."""
        if isinstance(argument, fx.Node):
            if argument not in self.known:
                self.known[argument] = self._node(argument)
            return self.known[argument]
        if isinstance(argument, bool | int | float):
            return Row((), ((self.builder.scalar(float(argument)), 1),))
        raise Refused(f"{argument!r} is neither a tensor nor a number")

    def _node(self, node: fx.Node) -> Any:
        if (vector := self.vector_of(node)) is not None:
            return vector
        if node.op != "call_function":
            raise Refused(f"{node.name} is a {node.op}")
        try:
            return self._call(node)
        except Refused as error:
            if "\n" in str(error):
                raise
            raise Refused(f"{error}\n{where(node)}") from None

    def _call(self, node: fx.Node) -> Any:
        build, target, args = self.builder, node.target, cast(Any, node.args)
        if target in UNARY:
            return pointwise(build, UNARY[target], [self(args[0])])
        if target in SUMS:
            return self._sum(node)
        if target in (aten.rsub.Scalar, aten.rsub.Tensor):
            return pointwise(build, "sub", [self.number(args[1]), self.number(args[0])])
        if target in BINARY:
            return self._binary(BINARY[target], args)
        if target is aten.reciprocal.default:
            return pointwise(build, "div", [self(1.0), self.number(args[0])])
        if target is aten.where.self:
            return pointwise(build, "where", [self(args[0]), self.number(args[1]), self.number(args[2])])
        if target is aten.masked_fill.Scalar:
            return pointwise(build, "where", [self(args[1]), self(args[2]), self.number(args[0])])
        if target in (aten.clamp.default, aten.clamp_min.default, aten.clamp_max.default, aten.hardtanh.default):
            return self._clamp(node)
        if target in (aten.mm.default, aten.addmm.default):
            return self._product(node)
        if target in SAME:
            return self(args[0])
        if target is aten._to_copy.default:
            return self.number(args[0])
        if target in FILLED or target in CREATED:
            return self._filled(node)
        if target in (aten.sum.dim_IntList, aten.mean.dim, aten.amax.default, torch.ops.prims.sum.default):
            return self._reduce(node)
        return self._view(node)

    def number(self, argument: Any) -> Row:
        return as_number(self.builder, self(argument))

    def _sum(self, node: fx.Node) -> Row:
        op, sign = SUMS[node.target]  # type: ignore[index]
        alpha = node.kwargs.get("alpha", node.args[2] if len(node.args) > 2 else 1)
        left, right = self.number(node.args[0]), scale(self.builder, self.number(node.args[1]), float(alpha))  # type: ignore[arg-type]
        return pointwise(self.builder, op if sign == 1 else "sub", [left, right])

    def _binary(self, op: str, args: Sequence[Any]) -> Row:
        if op in ("and", "or"):
            return pointwise(self.builder, op, [self(args[0]), self(args[1])])
        if op == "pow" and args[1] in (2, 2.0):
            return pointwise(self.builder, "mul", [self(args[0]), self(args[0])])
        if op == "pow" and args[1] in (1, 1.0):
            return self(args[0])
        return pointwise(self.builder, op, [self.number(args[0]), self.number(args[1])])

    def _clamp(self, node: fx.Node) -> Row:
        result = self(node.args[0])
        one_sided: dict[Any, list[str]] = {aten.clamp_max.default: ["max"], aten.clamp_min.default: ["min"]}
        names = one_sided.get(node.target, ["min", "max"])
        bounds = dict(zip(names, node.args[1:], strict=False)) | {k: v for k, v in node.kwargs.items() if k in names}
        if node.target is aten.hardtanh.default:
            bounds = {"min": -1.0, "max": 1.0} | bounds
        for name, op in (("min", "maximum"), ("max", "minimum")):
            if bounds.get(name) is not None:
                result = pointwise(self.builder, op, [result, self(bounds[name])])
        return result

    def _product(self, node: fx.Node) -> Row:
        left, right = node.args[-2], node.args[-1]
        found = self.weight_of(right) if isinstance(right, fx.Node) else None
        if found is None:
            raise Refused("a product of two values that both depend on the state")
        operand = self.number(left)
        weight, transposed = found
        width = int(right.meta["val"].shape[1])  # type: ignore[union-attr]
        pieces = [self.builder.spread(value, span) for value, span in operand.pieces]
        result = self._parted(self.builder.product(pieces, weight, transposed, width))
        if node.target is aten.addmm.default:
            beta, alpha = (float(node.kwargs.get(k, 1)) for k in ("beta", "alpha"))  # type: ignore[arg-type]
            bias = scale(self.builder, self(node.args[0]), beta)
            result = pointwise(self.builder, "add", [bias, scale(self.builder, result, alpha)])
        return result

    def _parted(self, value: Value) -> Row:
        """Return a product in parts of the grain: a sum over all its gates then needs the same parts as each gate."""
        if not self.grain or value.width % self.grain:
            return row(value)
        parts = [self.builder.cut(value, start, self.grain) for start in range(0, value.width, self.grain)]
        return Row((value.width,), tuple((part, self.grain) for part in parts))

    def _filled(self, node: fx.Node) -> Row:
        shape = tuple(node.meta["val"].shape)
        name = str(node.target)
        number = 0.0 if "zeros" in name else 1.0 if "ones" in name else node.args[-1 if "scalar" in name else 1]
        if node.target is aten.new_full.default:
            number = node.args[2]
        if not isinstance(number, bool | int | float):
            raise Refused(f"{node.target} of something that is not a number")
        return row_of(self.builder, float(number), shape[1:] if shape[:1] == (self.batch,) else shape)

    def _reduce(self, node: fx.Node) -> Row:
        one = self.number(node.args[0])
        dims = [d % (len(one.shape) + 1) for d in node.args[1]]  # type: ignore[union-attr,operator]
        keepdim = len(node.args) > 2 and node.args[2] is True
        if dims != [len(one.shape)]:
            raise Refused("a reduction over something else than the last dimension")
        op = "amax" if node.target is aten.amax.default else "sum"
        result = reduction(self.builder, op, one, keepdim=keepdim)
        return scale(self.builder, result, 1 / one.shape[-1]) if node.target is aten.mean.dim else result

    def _view(self, node: fx.Node) -> Any:
        build, target, args = self.builder, node.target, cast(Any, node.args)
        if target is operator.getitem:
            return self.parts(args[0])[args[1]]
        if target in VIEWS:
            return self._reshape(self(args[0]), list(args[1]))
        one = self(args[0]) if isinstance(args[0], fx.Node) else None
        if target is aten.cat.default:
            rows = [self(part) for part in args[0]]
            dim = args[1] if len(args) > 1 else 0
            return concatenate(build, rows, self._dim(rows[0], dim))
        if one is None:
            raise Refused(f"the operator {target} is none that a fused kernel can compute")
        if target is aten.slice.Tensor:
            return self._slice(one, *args[1:])
        if target is aten.select.int:
            dim = self._dim(one, args[1])
            picked = narrow(build, one, dim, args[2] % one.shape[dim], 1)
            return Row((*one.shape[:dim], *one.shape[dim + 1 :]), picked.pieces)
        if target is aten.unsqueeze.default:
            dim = args[1] % (len(one.shape) + 2)
            if dim == 0:
                raise Refused("a dimension in front of the batch")
            return Row((*one.shape[: dim - 1], 1, *one.shape[dim - 1 :]), one.pieces)
        if target in (aten.squeeze.dim, aten.squeeze.dims):
            dims = [args[1]] if isinstance(args[1], int) else list(args[1])
            drop = {self._dim(one, d) for d in dims}
            return Row(tuple(s for i, s in enumerate(one.shape) if i not in drop or s != 1), one.pieces)
        if target is aten.expand.default:
            sizes = [int(s) for s in args[1]][1:]
            own = (1,) * (len(sizes) - len(one.shape)) + one.shape
            return broadcast(build, one, tuple(o if s == -1 else s for s, o in zip(sizes, own, strict=True)))
        raise Refused(f"the operator {target} is none that a fused kernel can compute")

    def parts(self, node: Any) -> list[Row]:
        """Return the rows of a node that splits a tensor."""
        args, build = node.args, self.builder
        if node.target not in (aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int):
            raise Refused(f"the operator {node.target} is none that a fused kernel can compute")
        one = self(args[0])
        dim = self._dim(one, args[2] if len(args) > 2 else 0)
        if node.target is aten.unbind.int:
            dim = self._dim(one, args[1] if len(args) > 1 else 0)
            cuts = [narrow(build, one, dim, i, 1) for i in range(one.shape[dim])]
            return [Row((*one.shape[:dim], *one.shape[dim + 1 :]), part.pieces) for part in cuts]
        size = one.shape[dim]
        each = (
            args[1] if isinstance(args[1], list | tuple) else [min(args[1], size - s) for s in range(0, size, args[1])]
        )
        starts = [sum(each[:i]) for i in range(len(each))]
        return [narrow(build, one, dim, start, length) for start, length in zip(starts, each, strict=True)]

    def _reshape(self, one: Row, shape: list[int]) -> Row:
        if not shape or shape[0] not in (self.batch, -1) or (shape[0] == -1 and -1 in shape[1:]):
            raise Refused(f"a view that mixes the batch with the features, to {tuple(shape)}")
        return reshape(one, shape[1:])

    def _slice(self, one: Row, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Row:
        if dim == 0 and not start and (end is None or end >= self.batch):
            return one
        axis = self._dim(one, dim)
        size = one.shape[axis]
        first, last, _ = slice(start, end).indices(size)
        if step != 1:
            raise Refused("a slice with a step")
        return narrow(self.builder, one, axis, first, max(0, last - first))

    def _dim(self, one: Row, dim: Any) -> int:
        axis = int(dim) % (len(one.shape) + 1)
        if axis == 0:
            raise Refused("an operator along the batch: a row may not see the others")
        return axis - 1


def row_of(builder: Builder, number: float, shape: Sequence[int]) -> Row:
    """Return a row filled with one number."""
    sizes = tuple(shape)
    width = 1
    for size in sizes:
        width *= size
    return Row(sizes, ((builder.scalar(number), width),))
