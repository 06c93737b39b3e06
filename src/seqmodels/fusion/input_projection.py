"""The input's product with its weight, for all steps at once, laid out in memory as kernels read it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqmodels.fusion.layout import is_time_first, rows_of
from seqmodels.fusion.matmul import outer, product
from seqmodels.sequence import map_leaves

T = TypeVar("T")

LARGE = 1 << 20
"""Smallest input product, in bytes, that is computed here rather than by torch."""

TIME_FIRST_RATIO = 4
"""An input product at least this many times as wide as its input is computed time first.

With the batch first, the rows of a step are often a multiple of a page apart and compete for a few sets of the cache.
The input has to be copied for it.
"""


class InputProduct(NamedTuple, Generic[T]):
    """How a stream was computed: ``x (batch, time, input)`` times a weight ``(width, input)``, plus a bias.

    For tensors ``T`` is ``Tensor``; the same form holds, for each of them, its gradient or whether one is needed.
    """

    x: T
    weight: T
    bias: T | None


class InterceptInputProjection(TorchFunctionMode):
    """While active, computes large calls of ``torch.nn.functional.linear`` on the CPU that record gradients.

    Their results may lie time first in memory. ``project`` cannot tell the difference: where anything but the kernel
    reads such a result, it gets the one that PyTorch computes, which then replaces ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self._products: dict[int, tuple[Tensor, InputProduct[Tensor]]] = {}  # by id; the tensors keep their ids taken
        self._replacements: dict[int, Tensor] = {}

    @property
    def was_read(self) -> bool:
        """Whether ``project`` read a result, which was then computed twice: better leave its next call to PyTorch."""
        return bool(self._replacements)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self._products:
            args, kwargs = self._original(args), {name: self._original(one) for name, one in (kwargs or {}).items()}
        if func is F.linear and not kwargs and torch.is_grad_enabled() and _is_large(*args):
            origin = InputProduct[Tensor](args[0], args[1], args[2] if len(args) == 3 else None)
            wx = _Linear.apply(*origin)
            self._products[id(wx)] = wx, origin
            return wx
        return func(*args, **(kwargs or {}))

    def result(self, tree: T) -> T:
        """Return what ``project`` returned, with PyTorch's own results where they replaced ours."""
        return map_leaves(lambda leaf: self._replacements.get(id(leaf), leaf), tree) if self._replacements else tree

    def original(self, tree: T) -> T:
        """Return what ``project`` returned, with PyTorch's own results throughout."""
        return map_leaves(self._original, tree) if self._products else tree

    def _original(self, one: Any) -> Any:
        if isinstance(one, list | tuple) and not hasattr(one, "_fields"):
            return type(one)(map(self._original, one))
        if id(one) not in self._products:
            return one
        if id(one) not in self._replacements:
            self._replacements[id(one)] = F.linear(*self._products[id(one)][1])
        return self._replacements[id(one)]

    def origin(self, stream: Tensor) -> InputProduct[Tensor] | None:
        """Return how a stream was computed, if only the kernel needs its gradient."""
        if id(stream) in self._replacements or id(stream) not in self._products:
            return None
        return self._products[id(stream)][1]


def _is_large(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    tensors = [x, weight] if bias is None else [x, weight, bias]
    return (
        all(type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" for t in tensors)
        and len({t.dtype for t in tensors}) == 1
        and x.dtype in (torch.float32, torch.float64)
        and x.dim() == 3
        and x.shape[0] * x.shape[1] * weight.shape[0] * x.element_size() >= LARGE
        and not torch.is_autocast_enabled("cpu")
    )


def input_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x (batch, time, input)`` times ``weight (width, input)``, transposed, plus a bias."""
    return product(x.reshape(-1, x.shape[-1]), weight.t(), bias).view(*x.shape[:-1], -1)


def input_gradient(d: Tensor, weight: Tensor) -> Tensor:
    """Return ``d (batch, time, width)`` times ``weight (width, input)``, in the layout of ``d``."""
    dx = product(rows_of(d, is_time_first(d)), weight)
    if is_time_first(d):
        return dx.view(d.shape[1], d.shape[0], -1).transpose(0, 1)
    return dx.view(*d.shape[:2], -1)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        time_first = x.shape[0] > 1 and (is_time_first(x) or TIME_FIRST_RATIO * x.shape[-1] <= weight.shape[0])
        if time_first:
            return input_product(x.transpose(0, 1), weight, bias).transpose(0, 1)
        return input_product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        flat = rows_of(d, is_time_first(d))
        dx = input_gradient(d, weight) if needs_x else None
        dweight = outer(rows_of(x, is_time_first(d)), flat).t() if needs_weight else None
        return dx, dweight, flat.sum(0) if needs_bias else None
