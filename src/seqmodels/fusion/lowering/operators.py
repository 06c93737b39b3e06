"""The ATen operators that a step may use, grouped by how they are lowered."""

from typing import Any, cast

import torch
from torch import fx
from torch._ops import OpOverload

from seqmodels.fusion.ops import Op

aten = torch.ops.aten

SAME_NAME = """neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt tanh sigmoid relu abs sin cos tan asin acos atan
sinh cosh asinh acosh atanh erf erfc floor ceil round trunc""".split()
UNARY: dict[OpOverload, Op] = {getattr(aten, name).default: Op(name) for name in SAME_NAME}
UNARY |= {aten.sgn.default: Op.SIGN, aten.sign.default: Op.SIGN}
BINARY: dict[OpOverload, Op] = {
    aten.mul.Tensor: Op.MUL,
    aten.mul.Scalar: Op.MUL,
    aten.div.Tensor: Op.DIV,
    aten.div.Scalar: Op.DIV,
    aten.maximum.default: Op.MAXIMUM,
    aten.minimum.default: Op.MINIMUM,
    aten.pow.Tensor_Scalar: Op.POW,
    aten.pow.Tensor_Tensor: Op.POW,
    aten.pow.Scalar: Op.POW,
    aten.atan2.default: Op.ATAN2,
    **{getattr(getattr(aten, op), kind): op for op in (Op.FMOD, Op.REMAINDER) for kind in ("Tensor", "Scalar")},
}
COMPARISONS: dict[OpOverload, Op] = {
    getattr(getattr(aten, op), kind): op
    for op in (Op.GT, Op.GE, Op.LT, Op.LE, Op.EQ, Op.NE)
    for kind in ("Tensor", "Scalar")
}
BITWISE: dict[OpOverload, Op] = {
    aten.bitwise_and.Tensor: Op.AND,
    aten.bitwise_or.Tensor: Op.OR,
    aten.bitwise_xor.Tensor: Op.XOR,
    aten.bitwise_not.default: Op.NOT,
}
"""Operators that are logical where their operands are truth values; others are refused."""
LOGICAL: dict[OpOverload, Op] = BITWISE | {
    aten.logical_and.default: Op.AND,
    aten.logical_or.default: Op.OR,
    aten.logical_xor.default: Op.XOR,
    aten.logical_not.default: Op.NOT,
}
OF_TRUTHS: dict[OpOverload, Op] = {
    aten.mul.Tensor: Op.AND,
    aten.add.Tensor: Op.OR,
    aten.maximum.default: Op.OR,
    aten.minimum.default: Op.AND,
    aten.eq.Tensor: Op.EQ,
    aten.ne.Tensor: Op.XOR,
}
"""What arithmetic and comparisons amount to where both operands are truth values."""
SUMS: dict[OpOverload, Op] = {
    aten.add.Tensor: Op.ADD,
    aten.add.Scalar: Op.ADD,
    aten.sub.Tensor: Op.SUB,
    aten.sub.Scalar: Op.SUB,
}
CLAMPS: dict[OpOverload, tuple[str, ...]] = {
    **dict.fromkeys((aten.clamp.default, aten.clamp.Tensor, aten.hardtanh.default), ("min", "max")),
    **dict.fromkeys((aten.clamp_min.default, aten.clamp_min.Tensor), ("min",)),
    **dict.fromkeys((aten.clamp_max.default, aten.clamp_max.Tensor), ("max",)),
}
"""Operators that bound numbers, and which bounds their arguments are."""
SAME = {
    aten.clone.default,
    aten.detach.default,
    aten.alias.default,
    aten.contiguous.default,
    aten.lift_fresh_copy.default,
}
"""Copies and aliases: what they mean to autograd is in the traced backward pass already."""
FILLED = {aten.full_like.default, aten.zeros_like.default, aten.ones_like.default}
CREATED = {aten.full.default, aten.zeros.default, aten.ones.default, aten.new_zeros.default, aten.new_ones.default}
CREATED |= {aten.new_full.default, aten.scalar_tensor.default, aten.empty_like.default}
CREATED |= {aten.new_empty_strided.default, aten.new_empty.default}
MOVES = {
    aten.view.default,
    aten._unsafe_view.default,
    aten.reshape.default,
    aten.permute.default,
    aten.t.default,
    aten.transpose.int,
    aten.slice.Tensor,
    aten.select.int,
    aten.unsqueeze.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.expand.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unsafe_split.Tensor,
    aten.unsafe_split_with_sizes.default,
    aten.unbind.int,
    aten.flip.default,
    aten.roll.default,
    aten.index.Tensor,
    aten.index_select.default,
    aten.repeat.default,
    aten.diagonal.default,
    aten.unfold.default,
    aten.cat.default,
    aten.stack.default,
    aten.tril.default,
    aten.triu.default,
    aten.slice_backward.default,
    aten.select_backward.default,
    aten.diagonal_backward.default,
    aten.slice_scatter.default,
    aten.select_scatter.default,
    aten.constant_pad_nd.default,
    aten.copy.default,
    aten.index_put.default,
}
"""Operators that only move numbers, insert zeros between them or leave some out."""
REDUCTIONS: dict[OpOverload, Op] = {
    **dict.fromkeys((aten.sum.dim_IntList, aten.sum.default, torch.ops.prims.sum.default), Op.SUM),
    **dict.fromkeys((aten.mean.dim, aten.mean.default), Op.SUM),
    **dict.fromkeys((aten.amax.default, aten.max.default), Op.AMAX),
    **dict.fromkeys((aten.any.default, aten.any.dim, aten.any.dims), Op.AMAX),
    **dict.fromkeys((aten.amin.default, aten.min.default), Op.AMIN),
    **dict.fromkeys((aten.all.default, aten.all.dim, aten.all.dims), Op.AMIN),
}
"""Operators that reduce dimensions, truth values being 0 and 1."""
MEANS = {aten.mean.dim, aten.mean.default}


def is_count(node: fx.Node, dtype: torch.dtype) -> bool:
    """Return whether a node holds integers made of truth values and literal numbers, which are exact.

    There are no others: integers in the input and the state, and conversions of real numbers, are refused.
    """
    if dtype not in (torch.int64, torch.int32):
        return False
    given = cast(Any, node.args[0]).meta["val"].dtype if node.target is aten._to_copy.default else dtype
    return not given.is_floating_point
