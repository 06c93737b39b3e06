"""Which ATen operators a step may use, by the way they are lowered."""

import torch

aten = torch.ops.aten

SAME_NAME = [
    "neg",
    "exp",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "rsqrt",
    "tanh",
    "sigmoid",
    "relu",
    "abs",
    "sin",
    "cos",
    "erf",
]
UNARY = {getattr(aten, name).default: name for name in SAME_NAME} | {
    aten.sgn.default: "sign",
    aten.sign.default: "sign",
    aten.logical_not.default: "not",
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
    aten.logical_and.default: "and",
    aten.logical_or.default: "or",
    aten.bitwise_and.Tensor: "and",
    aten.bitwise_or.Tensor: "or",
    **{
        getattr(getattr(aten, n), kind): n
        for n in ("gt", "ge", "lt", "le", "eq", "ne")
        for kind in ("Tensor", "Scalar")
    },
}
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
VIEWS = {aten.view.default, aten._unsafe_view.default, aten.reshape.default}
FILLED = {aten.full_like.default, aten.zeros_like.default, aten.ones_like.default}
CREATED = {aten.full.default, aten.zeros.default, aten.ones.default, aten.new_zeros.default, aten.new_ones.default}
CREATED |= {aten.new_full.default, aten.scalar_tensor.default}
