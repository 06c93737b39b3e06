"""Which ATen operators a step may use, by the way they are lowered."""

from typing import Any, cast

import torch
from torch import fx

aten = torch.ops.aten

SAME_NAME = """neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt tanh sigmoid relu abs sin cos tan asin acos atan
sinh cosh asinh acosh atanh erf erfc floor ceil round trunc""".split()
UNARY = {getattr(aten, name).default: name for name in SAME_NAME} | {
    aten.sgn.default: "sign",
    aten.sign.default: "sign",
}
BINARY = {
    aten.mul.Tensor: "mul",
    aten.mul.Scalar: "mul",
    aten.div.Tensor: "div",
    aten.div.Scalar: "div",
    aten.maximum.default: "maximum",
    aten.minimum.default: "minimum",
    aten.pow.Tensor_Scalar: "pow",
    aten.pow.Tensor_Tensor: "pow",
    aten.pow.Scalar: "pow",
    aten.atan2.default: "atan2",
    **{getattr(getattr(aten, n), kind): n for n in ("fmod", "remainder") for kind in ("Tensor", "Scalar")},
}
COMPARISONS = {
    getattr(getattr(aten, n), kind): n for n in ("gt", "ge", "lt", "le", "eq", "ne") for kind in ("Tensor", "Scalar")
}
LOGICAL = {
    aten.logical_and.default: "and",
    aten.logical_or.default: "or",
    aten.logical_xor.default: "xor",
    aten.bitwise_and.Tensor: "and",
    aten.bitwise_or.Tensor: "or",
    aten.bitwise_xor.Tensor: "xor",
}
BITWISE = {op for op in LOGICAL if "bitwise" in str(op)} | {aten.bitwise_not.default}
OF_TRUTHS = {
    aten.mul.Tensor: "and",
    aten.add.Tensor: "or",
    aten.maximum.default: "or",
    aten.minimum.default: "and",
    aten.eq.Tensor: "eq",
    aten.ne.Tensor: "xor",
}
"""What arithmetic and comparisons come to where both operands are truth values."""
SUMS = {
    aten.add.Tensor: ("add", 1),
    aten.add.Scalar: ("add", 1),
    aten.sub.Tensor: ("add", -1),
    aten.sub.Scalar: ("add", -1),
}
SAME = {
    aten.clone.default,
    aten.detach.default,
    aten.alias.default,
    aten.contiguous.default,
    aten.lift_fresh_copy.default,
}
"""Copies and aliases: what autograd makes of them is in the traced backward pass already."""
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
"""Operators that only move numbers about, put zeros between them or leave some out."""
REDUCTIONS = {
    aten.sum.dim_IntList: "sum",
    aten.sum.default: "sum",
    torch.ops.prims.sum.default: "sum",
    aten.mean.dim: "mean",
    aten.mean.default: "mean",
    aten.amax.default: "amax",
    aten.amin.default: "amin",
    aten.max.default: "amax",
    aten.min.default: "amin",
    aten.any.default: "any",
    aten.any.dim: "any",
    aten.any.dims: "any",
    aten.all.default: "all",
    aten.all.dim: "all",
    aten.all.dims: "all",
}


def is_count(node: fx.Node, dtype: torch.dtype) -> bool:
    """Say whether a node holds integers that come of truth values and written numbers, which are exact.

    Others there are none: integers in the input and the state, and conversions of real numbers, are refused.
    """
    if dtype not in (torch.int64, torch.int32):
        return False
    given = cast(Any, node.args[0]).meta["val"].dtype if node.target is aten._to_copy.default else dtype
    return not given.is_floating_point
