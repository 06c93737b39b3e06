"""Composite operators that a trace takes apart into those of the language, as PyTorch itself defines them."""

from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions

from seqmodels.fusion.rows import Refused

aten = torch.ops.aten


def _layer_norm(x: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
    """Layer normalisation as sums along the row; PyTorch's own decomposition goes through views of views."""
    if len(shape) != 1:
        raise Refused(f"a layer normalisation over {len(shape)} dimensions")
    mean = x.sum(-1, keepdim=True) / shape[0]
    away = x - mean
    scale = torch.rsqrt((away * away).sum(-1, keepdim=True) / shape[0] + eps)
    out = away * scale
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, scale


def _variance(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    if dim is None or [d % x.dim() for d in dim] != [x.dim() - 1]:
        raise Refused("a variance over something else than the last dimension")
    size = x.shape[-1]
    away = x - x.sum(-1, keepdim=True) / size
    return (away * away).sum(-1, keepdim=keepdim) / (size - (1 if correction is None else correction))


DECOMPOSED = [
    "tanh_backward",
    "sigmoid_backward",
    "threshold_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "gelu",
    "gelu_backward",
    "_softmax",
    "_softmax_backward_data",
    "_log_softmax",
    "_log_softmax_backward_data",
    "leaky_relu",
    "leaky_relu_backward",
    "elu",
    "elu_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "mish",
    "mish_backward",
    "hardtanh_backward",
    "addcmul",
    "addcdiv",
    "lerp",
    "square",
    "log_sigmoid_forward",
    "log_sigmoid_backward",
    "rsub",
    "logit",
]
OWN: dict[Any, Any] = {aten.native_layer_norm.default: _layer_norm, aten.var.correction: _variance}
DECOMPOSITIONS: dict[Any, Any] = {**get_decompositions([getattr(aten, name) for name in DECOMPOSED]), **OWN}
