"""Matrix products outside the loop over time: the faster of oneDNN and BLAS for each."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.system.memory import empty_pooled

ONEDNN_OUTPUT = 16 << 20
"""Largest output, in bytes, for oneDNN: it is a tenth faster than BLAS, but allocates its output at every call."""

PACK = 1 << 23
"""Fewest multiplications of a repeated product for oneDNN: a call of BLAS costs 10 microseconds less."""

PACK_TIMES = 8
"""Fewest calls of a repeated product that repay packing the weight."""

Multiply = Callable[[Tensor, Tensor | None, Tensor], object]
"""A function ``(a, added, out)`` that writes a product with ``a``, plus ``added``, into ``out``."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``a (m, k) @ b (k, n)`` plus ``bias (n,)``."""
    size = a.shape[0] * b.shape[1] * a.element_size()
    if size <= ONEDNN_OUTPUT and (linear := _onednn_for(a)) is not None:
        return linear(a, b.t(), bias, "none", [], "")
    out = empty_pooled((a.shape[0], b.shape[1]), a)
    return torch.mm(a, b, out=out) if bias is None else torch.addmm(bias, a, b, out=out)


def repeated(weight: Tensor, rows: int, times: int) -> Multiply:
    """Return a function ``(a, added, out)`` that writes ``a (rows, k) @ weight (k, n) + added`` into ``out``.

    It is meant for many calls: a large weight is packed into oneDNN's own layout once, whereas BLAS packs it at every
    call, which takes as long as the product itself while rows are few.
    """
    linear = _onednn_for(weight)
    if linear is None or rows * weight.numel() < PACK or times < PACK_TIMES:
        return lambda a, added, out: (
            torch.mm(a, weight, out=out) if added is None else torch.addmm(added, a, weight, out=out)
        )
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), rows)

    def multiply(a: Tensor, added: Tensor | None, out: Tensor) -> Tensor:
        result = linear(a, packed, None, "none", [], "")
        return out.copy_(result) if added is None else torch.add(result, added, out=out)

    return multiply


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a (rows, m)`` transposed times ``b (rows, n)``, the gradient of a weight: a sum over many rows.

    Both libraries are faster this way round, even if the result is then transposed; oneDNN wins while rows are few.
    """
    if a.shape[0] <= 2 * min(a.shape[1], b.shape[1]) and b.is_contiguous():  # oneDNN takes seconds for strided rows
        return product(a.t(), b)
    return a.t() @ b


def _find_onednn() -> Callable[..., Tensor] | None:
    """Return PyTorch's operator for oneDNN's product, which has no public name; None where there is none."""
    found = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if found else None


_onednn = _find_onednn()


def _onednn_for(like: Tensor) -> Callable[..., Tensor] | None:
    """Return oneDNN's product if it accepts such tensors."""
    fits = like.dtype == torch.float32 and like.device.type == "cpu" and torch.backends.mkldnn.enabled
    return _onednn if fits else None
