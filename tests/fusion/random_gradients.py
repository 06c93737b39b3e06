"""What random cells draw besides plain arithmetic: other gradients, dtypes, masks, writes in place, spellings."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


class Spike(Function):
    """A step function whose gradient is that of a smooth bump."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return gradient / (1 + 10 * v.abs()) ** 2


class StraightThrough(Function):
    """Rounding whose gradient passes as if nothing had been rounded."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        return (4 * v).round() / 4

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class Reversed(Function):
    """The identity with the gradient's sign turned."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        return v.view_as(v)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Damped(Function):
    """The identity with a gradient scaled by a number that is given."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return v.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None


def without_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.no_grad():
        return function(x)


def with_gradient_inside(x: Tensor) -> Tensor:
    with torch.no_grad():
        scale = 1 + x.abs().amax(-1, keepdim=True)
        with torch.enable_grad():
            return x / scale


def written(x: Tensor, value: Any) -> Tensor:
    z = 1.5 * x
    z[:, :2] = value
    return z


def added(x: Tensor) -> Tensor:
    z = x.sin()
    z[:, ::2] += 0.3
    z[:, -1] *= 2
    return z


def masked(x: Tensor) -> Tensor:
    z = 1.5 * x
    z[x > 0.3] = 0.3
    return z


def clamped(x: Tensor) -> Tensor:
    z = 2 * x
    z[:, 1:].clamp_(-0.5, 0.5)
    return z


STOPPED: dict[str, Callable[[Tensor], Tensor]] = {
    "detach": lambda x: x * torch.sigmoid(x.detach()),
    "nothing but detach": lambda x: x.detach(),
    "data": lambda x: x * x.data.cos(),
    "straight through by detach": lambda x: x + (x.sign() - x).detach(),
    "no_grad": lambda x: x / without_gradient(lambda v: 1 + v.abs().amax(-1, keepdim=True), x),
    "all under no_grad": lambda x: without_gradient(torch.sin, x),
    "enable_grad in no_grad": with_gradient_inside,
    "spike": lambda x: Spike.apply(x - 0.2),
    "straight through": StraightThrough.apply,
    "reversal": lambda x: torch.tanh(Reversed.apply(x)),
    "damped": lambda x: Damped.apply(x, 0.3),
}
CAST: dict[str, Callable[[Tensor], Tensor]] = {
    "double": lambda x: x.double().sin().to(x.dtype),
    "float": lambda x: x.float().sin().to(x.dtype),
    "half": lambda x: x.half().to(x.dtype),
    "bfloat16": lambda x: x.bfloat16().type_as(x),
    "int": lambda x: x + (4 * x).int() / 4,
    "long": lambda x: x + 0.2 * (3 * x).to(torch.int64).to(x.dtype),
    "bool": lambda x: x * torch.relu(x).bool(),
    "whole numbers": lambda x: x + (((8 * x).int() % 3) * 2 - 1) / 5,
    "mask as a number": lambda x: (x > 0).to(x.dtype) * x - (x < 0.3).float(),
}
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu_": lambda x: (x + 0.1).relu_(),
    "relu in place": lambda x: F.relu(x.clone(), inplace=True),
    "mul_ and add_": lambda x: (2 * x).mul_(0.3).add_(x),
    "columns set": lambda x: written(x, 0.0),
    "columns set to columns": lambda x: written(x, x[:, -1:].sin()),
    "columns added to": added,
    "masked_fill_": lambda x: (2 * x).masked_fill_(x > 0.4, 0.4),
    "masked by index": masked,
    "clamp_ of a view": clamped,
    "copy_": lambda x: torch.zeros_like(x).copy_(x.sin()),
    "tanh_": lambda x: (x * x).tanh_(),
    "filled": lambda x: x + torch.empty_like(x).fill_(0.2),
}
MASKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "greater": lambda x, y: x > y,
    "at most a number": lambda x, y: x <= 0.2,
    "finite": lambda x, y: torch.isfinite(x),
    "not": lambda x, y: ~(x > y),
    "and": lambda x, y: (x > 0) & (y < 0.5),
    "or": lambda x, y: (x > 0) | (y < -0.5),
    "xor": lambda x, y: (x > 0) ^ (y > 0),
    "product": lambda x, y: (x > 0) * (y > 0),
    "logical": lambda x, y: torch.logical_and(x > -0.5, torch.logical_not(y > 0.5)),
    "logical_or of numbers": lambda x, y: torch.logical_or(torch.relu(x), torch.relu(y)),
    "equal masks": lambda x, y: (x > 0) == (y > 0),
    "close": lambda x, y: torch.isclose(x, y, atol=0.3),
    "sign bit": lambda x, y: torch.signbit(x) | torch.isnan(y),
}
USES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "where": torch.where,
    "where with a number": lambda mask, x, y: torch.where(mask, x, 0.4) + y,
    "masked_fill": lambda mask, x, y: x.masked_fill(mask, 0.3) * y,
    "masked_fill by a tensor": lambda mask, x, y: (x + y).masked_fill(mask, torch.tensor(-0.2, dtype=x.dtype)),
    "factor": lambda mask, x, y: mask * x + ~mask * y,
    "cast": lambda mask, x, y: mask.to(x.dtype) * x + (1 - mask.to(x.dtype)) * y,
    "masked twice": lambda mask, x, y: torch.where(mask & (x > 0), x, torch.where(mask, y, 0.5 * x)),
}
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "F.linear": F.linear,
    "@": lambda x, w: x @ w.T,
    "matmul": lambda x, w: torch.matmul(x, w.t()),
    "mm": lambda x, w: torch.mm(x, w.transpose(0, 1)),
    "einsum": lambda x, w: torch.einsum("bi,oi->bo", x, w),
    "einsum the other way": lambda x, w: torch.einsum("oi,bi->bo", w, x),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([1], [1])),
    "inner": torch.inner,
    "transposed": lambda x, w: (w @ x.T).T,
    "addmm": lambda x, w: torch.addmm(w[:, 0], x, w.t(), beta=0.5, alpha=0.8),
    "a dimension more": lambda x, w: (x.unsqueeze(1) @ w.t()).squeeze(1),
    "linear of a table": lambda x, w: F.linear(x[:, None], w).flatten(1),
    "as one sum": lambda x, w: (x.unsqueeze(1) * w).sum(-1),
    "scaled weight": lambda x, w: x @ (0.5 * w.tanh()).T,
    "normalised weight": lambda x, w: F.linear(x, w / (1 + w.norm(dim=1, keepdim=True))),
    "quantised weight": lambda x, w: F.linear(x, StraightThrough.apply(w)),
    "weight without gradient": lambda x, w: F.linear(x, w.detach()) + 0.1 * F.linear(x, w),
    "halved": lambda x, w: torch.cat([F.linear(x, half) for half in w.split(1 + w.shape[0] // 2)], -1),
}
