"""Composite operators as those that can be lowered: PyTorch's own decompositions, or ours where they are simpler."""

from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

from seqmodels.errors import Refused

aten = torch.ops.aten

DECOMPOSED = """
tanh_backward sigmoid_backward threshold_backward threshold silu silu_backward softplus softplus_backward gelu
gelu_backward _softmax _softmax_backward_data _log_softmax _log_softmax_backward_data leaky_relu leaky_relu_backward
elu celu hardsigmoid hardsigmoid_backward hardswish hardswish_backward mish mish_backward
addcmul addcdiv lerp square log_sigmoid_forward log_sigmoid_backward rsub logit logit_backward glu glu_backward
_prelu_kernel _prelu_kernel_backward softshrink hardshrink logsumexp linalg_vector_norm
_fused_rms_norm _fused_rms_norm_backward isinf isposinf isneginf
nan_to_num logaddexp logaddexp2 xlogy sinc frac heaviside std.correction mean.default
unfold_backward diagonal_backward select_scatter masked_fill_ special_entr index_copy index_fill
""".split()
"""Operators of PyTorch's own table, by name: all overloads, or the one named."""


def _overloads(name: str) -> list[Any]:
    packet, _, overload = name.partition(".")
    found = getattr(aten, packet)
    return [getattr(found, one) for one in ([overload] if overload else found.overloads())]


def _sum(x: Tensor) -> Tensor:
    return x.sum(-1, keepdim=True)


def _layer_norm(x: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
    """Layer normalisation as sums along the row; PyTorch's own decomposition takes many views."""
    if len(shape) != 1:
        raise Refused(f"a layer normalisation over {len(shape)} dimensions")
    mean = _sum(x) / shape[0]
    away = x - mean
    scale = torch.rsqrt(_sum(away * away) / shape[0] + eps)
    out = away * scale
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, scale


def _layer_norm_backward(
    d: Tensor, x: Tensor, shape: Any, mean: Tensor, scale: Tensor, weight: Tensor | None, bias: Any, mask: list[bool]
) -> tuple[Tensor | None, ...]:
    del bias
    if len(shape) != 1:
        raise Refused(f"a layer normalisation over {len(shape)} dimensions")
    out, size, rest = (x - mean) * scale, shape[0], list(range(x.dim() - 1))
    dout = d if weight is None else d * weight
    dx = (dout - _sum(dout) / size - out * (_sum(dout * out) / size)) * scale if mask[0] else None
    return dx, (d * out).sum(rest) if mask[1] else None, d.sum(rest) if mask[2] else None


def _variance(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    if dim is None or [d % x.dim() for d in dim] != [x.dim() - 1]:
        raise Refused("a variance over something else than the last dimension")
    size = x.shape[-1]
    away = x - _sum(x) / size
    return (away * away).sum(-1, keepdim=keepdim) / (size - (1 if correction is None else correction))


def _variance_and_mean(x: Tensor, dim: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    return _variance(x, dim, **options), x.mean(dim, keepdim=options.get("keepdim", False))


def _cumulative_sum(x: Tensor, dim: int, **_: Any) -> Tensor:
    """A cumulative sum along the row is a product with ones on and above the diagonal."""
    if x.dim() != 2 or dim % 2 != 1:
        raise Refused("a cumulative sum over something else than the only dimension beside the batch")
    size = x.shape[1]
    return x @ torch.ones(size, size, dtype=x.dtype, device=x.device).triu()


def _matrix_vector(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.unsqueeze(1)).squeeze(1)


def _one_product(a: Tensor, b: Tensor) -> Any:
    """A batch of one product is a product; ``einsum`` and ``tensordot`` create such."""
    return torch.mm(a.squeeze(0), b.squeeze(0)).unsqueeze(0) if a.shape[0] == 1 else NotImplemented


def _finite(x: Tensor) -> Tensor:
    return x.abs() < float("inf")


def _index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    places: list[Any] = [None] * (dim % x.dim())
    return aten.index_put(x, [*places, index], source if alpha == 1 else source * alpha, True)


def _shrink_backward(d: Tensor, x: Tensor, bound: float) -> Tensor:
    return torch.where((x >= -bound) & (x <= bound), 0.0, d)


def _largest(x: Tensor, dim: int, keepdim: bool = False, *, least: bool = False) -> tuple[Tensor, Tensor]:
    """The largest number of a row and its first position."""
    last, size = dim % x.dim() == x.dim() - 1, x.shape[dim]
    if not last:
        raise Refused("the largest number over something else than the last dimension")
    found = x.amin(-1, keepdim=True) if least else x.amax(-1, keepdim=True)
    places = torch.arange(size, dtype=x.dtype, device=x.device)
    place = torch.where((x == found) | (x != x), places, float(size)).amin(-1, keepdim=True)  # noqa: PLR0124
    return (found, place) if keepdim else (found.squeeze(-1), place.squeeze(-1))


def _scatter(x: Tensor, dim: int, index: Tensor, source: Any) -> Tensor:
    """Write one number per row to a position that was computed, as :func:`_largest` does."""
    if dim % x.dim() != x.dim() - 1 or index.shape[-1] != 1:
        raise Refused("numbers scattered into places that are computed")
    places = torch.arange(x.shape[-1], dtype=index.dtype, device=x.device)
    return torch.where(places == index, source, x)


def _hardtanh_backward(d: Tensor, x: Tensor, least: float, most: float) -> Tensor:
    return torch.where((x > least) & (x < most), d, 0.0)


def _elu_backward(d: Tensor, alpha: float, scale: float, inner: float, is_result: bool, x: Tensor) -> Tensor:
    low = (x + alpha * scale) * inner if is_result else inner * alpha * scale * torch.exp(x * inner)
    return torch.where(x > 0, d * scale, d * low)


def _rounded_quotient(a: Tensor, b: Any, *, rounding_mode: str | None) -> Tensor:
    if rounding_mode is None:
        return a / b
    if rounding_mode == "trunc":
        return torch.trunc(a / b)
    return torch.round((a - torch.remainder(a, b)) / b)


def _group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, rows: int, size: int, inner: int, groups: int, eps: float
) -> tuple[Tensor, ...]:
    """Group normalisation of rows: a layer normalisation of each group."""
    if inner != 1:
        raise Refused("a group normalisation over more than one dimension")
    out, mean, scale = _layer_norm(x.reshape(rows, groups, size // groups), [size // groups], None, None, eps)
    out = out.reshape(x.shape)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean.squeeze(-1), scale.squeeze(-1)


def _group_norm_backward(
    d: Tensor, x: Tensor, mean: Tensor, scale: Tensor, weight: Tensor | None, *sizes: Any
) -> tuple[Tensor | None, ...]:
    rows, size, _, groups, mask = sizes
    shape = (rows, groups, size // groups)
    dout = (d if weight is None else d * weight).reshape(shape)
    given = dout, x.reshape(shape), shape[2:], mean.unsqueeze(-1), scale.unsqueeze(-1)
    dx, _, _ = _layer_norm_backward(*given, None, None, [mask[0], False, False])
    out = ((x.reshape(shape) - mean.unsqueeze(-1)) * scale.unsqueeze(-1)).reshape(x.shape)
    dx = None if dx is None else dx.reshape(x.shape)
    return dx, (d * out).sum(0) if mask[1] else None, d.sum(0) if mask[2] else None


OWN: dict[Any, Any] = {
    aten.native_group_norm.default: _group_norm,
    aten.native_group_norm_backward.default: _group_norm_backward,
    aten.fmax.default: lambda a, b: torch.where((a >= b) | (b != b), a, b),  # noqa: PLR0124
    aten.fmin.default: lambda a, b: torch.where((a <= b) | (b != b), a, b),  # noqa: PLR0124
    aten.isnan.default: lambda x: x != x,  # noqa: PLR0124
    aten.hypot.default: lambda a, b: torch.sqrt(a * a + b * b),
    aten.floor_divide.default: lambda a, b: _rounded_quotient(a, b, rounding_mode="floor"),
    aten.hardtanh_backward.default: _hardtanh_backward,
    aten.elu_backward.default: _elu_backward,
    aten.div.Tensor_mode: _rounded_quotient,
    aten.div.Scalar_mode: _rounded_quotient,
    aten.max.dim: _largest,
    aten.min.dim: lambda x, dim, keepdim=False: _largest(x, dim, keepdim, least=True),
    aten.scatter.src: _scatter,
    aten.scatter.value: _scatter,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
    aten.var.correction: _variance,
    aten.var_mean.correction: _variance_and_mean,
    aten.cumsum.default: _cumulative_sum,
    aten.mv.default: _matrix_vector,
    aten.bmm.default: _one_product,
    aten.isfinite.default: _finite,
    aten.index_add.default: _index_add,
    aten.softshrink_backward.default: _shrink_backward,
    aten.hardshrink_backward.default: _shrink_backward,
}
FROM_TORCH = {
    op: decomposition_table[op]
    for name in DECOMPOSED
    for op in _overloads(name)
    if op in decomposition_table and "out" not in op._overloadname
}
DECOMPOSITIONS: dict[Any, Any] = {**FROM_TORCH, **OWN}
