"""The ATen operators that a step may use, grouped by how they are lowered."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import fx
from torch._ops import OpOverload

from seqmodels.fusion import ops
from seqmodels.fusion.ops import Op

aten = torch.ops.aten


def overloads(names: str) -> list[OpOverload]:
    """Return ATen operators by name, as ``mul.Tensor``; ``neg`` is ``neg.default``."""
    parts = (name.partition(".") for name in names.split())
    return [getattr(getattr(aten, name), overload or "default") for name, _, overload in parts]


def table(names: Mapping[Op, str]) -> dict[OpOverload, Op]:
    """Return what operator of values stands for each ATen operator."""
    return {overload: op for op, text in names.items() for overload in overloads(text)}


SAME_NAME = """neg exp exp2 log log2 log10 log1p expm1 sqrt rsqrt tanh sigmoid relu abs sin cos tan asin acos atan
sinh cosh asinh acosh atanh erf erfc floor ceil round trunc""".split()
UNARY = table({Op.SIGN: "sgn sign"} | {Op(name): name for name in SAME_NAME})
BINARY = table(
    {op: f"{op}.Tensor {op}.Scalar" for op in (Op.MUL, Op.DIV, Op.FMOD, Op.REMAINDER)}
    | {op: op for op in (Op.MAXIMUM, Op.MINIMUM, Op.ATAN2)}
    | {Op.POW: "pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar"}
)
SUMS = table({op: f"{op}.Tensor {op}.Scalar" for op in (Op.ADD, Op.SUB)})
COMPARISONS = table({op: f"{op}.Tensor {op}.Scalar" for op in ops.COMPARISONS})
_TENSORS = {Op.AND: "bitwise_and.Tensor", Op.OR: "bitwise_or.Tensor", Op.XOR: "bitwise_xor.Tensor"}
BITWISE = table(_TENSORS | {Op.NOT: "bitwise_not"})
"""Operators that are logical if their operands are truth values, and refused if not."""
LOGICAL = BITWISE | table({op: f"logical_{op}" for op in ops.LOGICAL})
OF_TRUTHS = table({Op.AND: "mul.Tensor minimum", Op.OR: "add.Tensor maximum", Op.EQ: "eq.Tensor", Op.XOR: "ne.Tensor"})
"""What arithmetic and comparisons amount to if both operands are truth values."""
CLAMPS = {
    **dict.fromkeys(overloads("clamp clamp.Tensor hardtanh"), ("min", "max")),
    **dict.fromkeys(overloads("clamp_min clamp_min.Tensor"), ("min",)),
    **dict.fromkeys(overloads("clamp_max clamp_max.Tensor"), ("max",)),
}
"""Operators that bound numbers, and which bounds their arguments are."""
SAME = set(overloads("clone detach alias contiguous lift_fresh_copy"))
"""Copies and aliases: what they mean to autograd is in the traced backward pass already."""
FILLED = set(overloads("full_like zeros_like ones_like"))
CREATED = set(overloads("full zeros ones new_zeros new_ones new_full scalar_tensor empty_like"))
CREATED |= set(overloads("new_empty_strided new_empty"))
MOVES = set(
    overloads("""view _unsafe_view reshape permute t transpose.int slice.Tensor select.int unsqueeze squeeze squeeze.dim
    squeeze.dims expand split.Tensor split_with_sizes unsafe_split.Tensor unsafe_split_with_sizes unbind.int flip roll
    index.Tensor index_select repeat diagonal unfold cat stack tril triu slice_backward select_backward
    diagonal_backward slice_scatter select_scatter constant_pad_nd copy index_put""")
)
"""Operators that only move numbers, insert zeros between them or leave some out."""
MEANS = set(overloads("mean.dim mean"))
REDUCTIONS = table({Op.SUM: "sum.dim_IntList sum", Op.AMAX: "amax max any any.dim any.dims"})
REDUCTIONS |= table({Op.AMIN: "amin min all all.dim all.dims"})
REDUCTIONS |= dict.fromkeys((torch.ops.prims.sum.default, *MEANS), Op.SUM)
"""Operators that reduce dimensions, with truth values as 0 and 1."""


def is_count(node: fx.Node, dtype: torch.dtype) -> bool:
    """Return whether a node holds integers made of truth values and literal numbers, which are exact.

    There are no others: integers in the input and the state, and conversions of real numbers, are refused.
    """
    if dtype not in (torch.int64, torch.int32):
        return False
    given = cast(Any, node.args[0]).meta["val"].dtype if node.target is aten._to_copy.default else dtype
    return not given.is_floating_point
