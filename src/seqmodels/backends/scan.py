"""A scan over time, for cells whose step is linear in their state."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from seqmodels.backends.backend import Projection
from seqmodels.backends.native import set_on_itself
from seqmodels.cells.base import Cell, LinearCell
from seqmodels.errors import Refused
from seqmodels.sequence import length_mask

_STEP = LinearCell.step  # as it is now: a class can be changed later


class Scan:
    """All steps of ``h_t = a_t * h_{t-1} + b_t`` from coefficients computed at once, with derivatives of any order.

    An accelerator combines steps in 2 log2(time) parallel rounds. A CPU runs one operation per step in place, which
    touches memory once and is faster there at any size.
    """

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        del x  # any shape, device and dtype will do
        if not isinstance(cell, LinearCell):
            return f"{type(cell).__name__} is not linear in its state (no LinearCell), so its steps cannot be joined"
        if type(cell).step is not _STEP:
            return f"{type(cell).__name__} has a step of its own beside its coefficients"
        if (name := set_on_itself(cell)) is not None:
            return f"this {type(cell).__name__} has a method {name} of its own"
        return None

    def __call__(
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        projection: Projection | None = None,
        *,
        resets: Tensor | None = None,
        restart: Any = None,
    ) -> tuple[Tensor, Any]:
        if why := self.refuses(cell, x):
            raise Refused(why)
        assert isinstance(cell, LinearCell)
        a, b = cell.coefficients((projection or Projection(cell, x))())  # each (batch, time, hidden)
        start = state[0]
        if resets is not None:  # h_t = 0 * h_{t-1} + (a_t * restart + b_t)
            flags = resets[..., None]
            start = torch.where(flags[:, 0], restart[0], start)  # else a given state that is not finite gives 0 * inf
            a, b = torch.where(flags, 0, a), torch.where(flags, a * restart[0][:, None] + b, b)
        if lengths is None:
            h = linear_recurrence(a, b, start)
            return h, type(state)(h[:, -1])
        padding = ~length_mask(lengths, x.shape[1])[..., None]
        # h_t = 1 * h_{t-1} + 0: past its length the state stays as it is
        h = linear_recurrence(a.masked_fill(padding, 1), b.masked_fill(padding, 0), start)
        return h.masked_fill(padding, 0), type(state)(h[:, -1])


def linear_recurrence(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """Solve ``h_t = a_t * h_{t-1} + b_t`` for all t: ``a, b (batch, time, hidden)``, ``h0 (batch, hidden)``."""
    a, b = torch.broadcast_tensors(a, b)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), h0.dtype)
    h: Tensor = _LinearRecurrence.apply(a.to(dtype), b.to(dtype), h0.to(dtype))  # type: ignore[no-untyped-call]
    return h


class _LinearRecurrence(torch.autograd.Function):
    """The adjoint of a linear recurrence is a linear recurrence in reverse: it needs no more memory than a and h."""

    @staticmethod
    def forward(ctx: FunctionCtx, a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        b = torch.cat([torch.addcmul(b[:, :1], a[:, :1], h0[:, None]), b[:, 1:]], dim=1)
        h = solve_in_turn(a, b) if b.device.type == "cpu" else solve_in_pairs(a, b)
        ctx.save_for_backward(a, h0, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, h0, h = ctx.saved_tensors
        later = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], dim=1)
        grad_b = linear_recurrence(later.flip(1), grad.flip(1), torch.zeros_like(h0)).flip(1)
        previous = torch.cat([h0[:, None], h[:, :-1]], dim=1)
        return grad_b * previous, grad_b, grad_b[:, 0] * a[:, 0]


def solve_in_turn(a: Tensor, b: Tensor) -> Tensor:
    """Solve ``h_t = a_t * h_{t-1} + b_t`` from ``h_{-1} = 0``, step by step; not differentiable."""
    h = torch.empty_like(b)
    steps = h.unbind(1)
    steps[0].copy_(b[:, 0])
    for previous, h_t, a_t, b_t in zip(steps, steps[1:], a.unbind(1)[1:], b.unbind(1)[1:], strict=False):
        torch.addcmul(b_t, a_t, previous, out=h_t)
    return h


def solve_in_pairs(a: Tensor, b: Tensor) -> Tensor:
    """Solve the same in parallel.

    Step (a1, b1) followed by (a2, b2) is the step (a2 * a1, a2 * b1 + b2). Steps are combined in pairs, the recurrence
    of the pairs, half as long, gives h at every second step, and one round fills in the steps between. The work is
    proportional to time, and there are no quotients of products of a, which could overflow.
    """
    time = a.shape[1]
    if time == 1:
        return b
    first, second = slice(0, time - 1, 2), slice(1, time, 2)
    pairs = solve_in_pairs(a[:, second] * a[:, first], torch.addcmul(b[:, second], a[:, second], b[:, first]))
    h = torch.empty_like(b)
    h[:, second] = pairs
    h[:, :1] = b[:, :1]
    between = slice(2, time, 2)
    h[:, between] = torch.addcmul(b[:, between], a[:, between], pairs[:, : (time - 1) // 2])
    return h
