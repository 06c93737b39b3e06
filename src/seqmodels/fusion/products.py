"""The products outside the loop, over all steps at once, and how streams lie in memory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqmodels.sequence import map_leaves
from seqmodels.system.memory import room

ONEDNN_OUTPUT = 16 << 20
"""Bytes of output up to which oneDNN's product, a tenth faster than BLAS, gains more than its fresh memory costs."""


PACK = 1 << 23
"""Multiplications of a product from which on it is worth oneDNN's call: BLAS's takes 10 microseconds less."""

PACK_TIMES = 8
"""Calls from which on they pay for the weight's new layout."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``a (m, k) @ b (k, n)`` plus ``bias (n,)``, by the quicker of oneDNN and BLAS."""
    size = a.shape[0] * b.shape[1] * a.element_size()
    if size <= ONEDNN_OUTPUT and (linear := _onednn_for(a)) is not None:
        return linear(a, b.t(), bias, "none", [], "")
    out = room((a.shape[0], b.shape[1]), a)
    return torch.mm(a, b, out=out) if bias is None else torch.addmm(bias, a, b, out=out)


def repeated(weight: Tensor, rows: int, times: int) -> Callable[[Tensor, Tensor | None, Tensor], object]:
    """Return a function ``(a, added, out)`` that writes ``a (rows, k) @ weight (k, n) + added`` into ``out``.

    It is meant for many calls: a large weight is put into oneDNN's own layout once, where BLAS does so at every call,
    which takes as long as the product while rows are few.
    """
    linear = _onednn_for(weight)
    if linear is None or rows * weight.numel() < PACK or times < PACK_TIMES:
        return lambda a, added, out: (
            torch.mm(a, weight, out=out) if added is None else torch.addmm(added, a, weight, out=out)
        )
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), rows)

    def into(a: Tensor, added: Tensor | None, out: Tensor) -> Tensor:
        made = linear(a, packed, None, "none", [], "")
        return out.copy_(made) if added is None else torch.add(made, added, out=out)

    return into


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a (rows, m)`` transposed times ``b (rows, n)``: a weight's gradient, a sum over many rows.

    Both are better this way round, also where the result is transposed then; oneDNN is quicker while rows are few.
    """
    if a.shape[0] <= 2 * min(a.shape[1], b.shape[1]) and b.is_contiguous():  # columns cut out take seconds
        return product(a.t(), b)
    return a.t() @ b


def turned(stream: Tensor) -> bool:
    """Say whether ``stream (batch, time, width)`` has time before the batch in memory."""
    return stream.stride(0) < stream.stride(1)


def rows_of(stream: Tensor, time_first: bool) -> Tensor:
    """Return the rows of all steps ``(batch * time, width)``, in either order; no copy where they lie so."""
    return (stream.transpose(0, 1) if time_first else stream).flatten(0, 1)


def unread(stream: Tensor) -> Tensor:
    """Return next to no memory in the shape of a stream that nobody reads, with the same order of batch and time."""
    batch, time, size = stream.shape
    strides = (0, 1, 1) if turned(stream) else (1, 0, 1)
    return stream.new_empty(batch + time + size).as_strided(stream.shape, strides)


def _find_onednn() -> Callable[..., Tensor] | None:
    """Return PyTorch's operator for oneDNN's product, which has no public name; None where there is none."""
    found = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if found else None


_onednn = _find_onednn()


def _onednn_for(like: Tensor) -> Callable[..., Tensor] | None:
    """Return oneDNN's product where it takes such tensors."""
    fits = like.dtype == torch.float32 and like.device.type == "cpu" and torch.backends.mkldnn.enabled
    return _onednn if fits else None


LARGE = 1 << 20
"""Bytes of an input product from which on it is worth a function of our own."""

TURN = 4
"""An input product so many times as wide as its input, or wider, is made with time first: a step's rows lie together.

Rows whose distance is a multiple of a page meet in a few sets of the cache. The input must be copied for it.
"""


class InputProduct(NamedTuple):
    """What a stream was computed as: ``x (batch, time, input)`` times a weight ``(width, input)``, plus a bias."""

    x: Tensor
    weight: Tensor
    bias: Tensor | None


class RoomyLinear(TorchFunctionMode):
    """While active, large calls of ``torch.nn.functional.linear`` on the CPU that record gradients lie as kernels like.

    That may be with time first in memory. A result that anything but the kernel gets to see is put aside, and PyTorch's
    own, which is computed then, goes in its place: ``project`` cannot tell the difference.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[Tensor, InputProduct]] = {}  # by id: the tensors are held, so that theirs stay
        self._instead: dict[int, Tensor] = {}

    @property
    def touched(self) -> bool:
        """Say whether a result was put aside: then the next call had better be PyTorch's own."""
        return bool(self._instead)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._made:
            args, kwargs = self._seen(args), {name: self._seen(value) for name, value in (kwargs or {}).items()}
        if func is F.linear and not kwargs and torch.is_grad_enabled() and _large(*args):
            made = InputProduct(args[0], args[1], args[2] if len(args) == 3 else None)
            wx = _Linear.apply(*made)
            self._made[id(wx)] = wx, made
            return wx
        return func(*args, **(kwargs or {}))

    def settled(self, tree: Any) -> Any:
        """Return what ``project`` returned, with PyTorch's own results where others were put aside."""
        return map_leaves(lambda leaf: self._instead.get(id(leaf), leaf), tree) if self._instead else tree

    def plain(self, tree: Any) -> Any:
        """Return what ``project`` returned, with PyTorch's own results alone."""
        return map_leaves(self._seen, tree) if self._made else tree

    def _seen(self, one: Any) -> Any:
        if isinstance(one, list | tuple) and not hasattr(one, "_fields"):
            return type(one)(map(self._seen, one))
        if id(one) not in self._made:
            return one
        if id(one) not in self._instead:
            made = self._made[id(one)][1]
            self._instead[id(one)] = F.linear(*made)
        return self._instead[id(one)]

    def behind(self, stream: Tensor) -> InputProduct | None:
        """Return what a stream was computed as, where nobody but its user asks for its gradient."""
        if id(stream) in self._instead:
            return None
        found = self._made.get(id(stream))
        return None if found is None else found[1]


def _large(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    tensors = [x, weight] if bias is None else [x, weight, bias]
    return (
        all(type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" for t in tensors)
        and len({t.dtype for t in tensors}) == 1
        and x.dtype in (torch.float32, torch.float64)
        and x.dim() == 3
        and x.shape[0] * x.shape[1] * weight.shape[0] * x.element_size() >= LARGE
        and not torch.is_autocast_enabled("cpu")
    )


def projected(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return product(x.reshape(-1, x.shape[-1]), weight.t(), bias).view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        time_first = x.shape[0] > 1 and (turned(x) or TURN * x.shape[-1] <= weight.shape[0])
        x = x.transpose(0, 1) if time_first else x
        wx = projected(x, weight, bias)
        return wx.transpose(0, 1) if time_first else wx

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        flat = rows_of(d, turned(d))
        dx = input_gradient(d, weight) if needs_x else None
        dweight = outer(rows_of(x, turned(d)), flat).t() if needs_weight else None
        return dx, dweight, flat.sum(0) if needs_bias else None


def input_gradient(d: Tensor, weight: Tensor) -> Tensor:
    """Return ``d (batch, time, width)`` times ``weight (width, input)``, in the layout of ``d``."""
    dx = product(rows_of(d, turned(d)), weight)
    if turned(d):
        return dx.view(d.shape[1], d.shape[0], -1).transpose(0, 1)
    return dx.view(*d.shape[:2], -1)
