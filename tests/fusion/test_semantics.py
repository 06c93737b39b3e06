"""What a step says about its gradients holds: what it stops, replaces, hooks on to, and where it has a kink."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.fusion.random_gradients import Damped, Reversed, Spike, StraightThrough
from tests.fusion.running import HIDDEN, Double, UserCell, assert_auto_equals_eager, cases, outcome, sequence, written

Advance = Callable[[Any, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def half_detached(h: Tensor) -> Tensor:
    return torch.cat([h[:, :11].detach(), h[:, 11:]], -1)


def rounded(v: Tensor) -> Tensor:
    return v + (v.round() - v).detach()


DETACHED: dict[str, Advance] = {
    "state in a product": lambda s, wx, h: torch.tanh(wx + h.detach() @ s.weight_hh.T),
    "state in a gate": lambda s, wx, h: torch.sigmoid(h.detach()) * torch.tanh(s.added(wx, h)),
    "input": lambda s, wx, h: torch.tanh(s.added(wx.detach(), h)),
    "some columns": lambda s, wx, h: torch.tanh(s.added(wx, half_detached(h))),
    "everything": lambda s, wx, h: torch.tanh(s.added(wx, h)).detach(),
    "in place": lambda s, wx, h: torch.tanh(wx + (2 * h).detach_() @ s.weight_hh.T) + 0.1 * h,
    "data": lambda s, wx, h: torch.tanh(s.added(wx, h)) * h.data.cos(),
    "clone": lambda s, wx, h: torch.tanh(s.added(wx, h)) + 0.5 * h.clone().detach(),
    "weight": lambda s, wx, h: torch.tanh(wx + F.linear(h, s.weight_hh.detach())),
    "norm of a weight": lambda s, wx, h: torch.tanh(wx + F.linear(h, s.weight_hh / s.weight_hh.detach().norm())),
    "bias": lambda s, wx, h: torch.tanh(s.added(wx, h) * s.bias.detach() + s.bias),
    "rounded straight through": lambda s, wx, h: rounded(3 * s.added(wx, h)) / 4,
    "in a branch of where": lambda s, wx, h: torch.where(wx > 0, h.detach(), torch.tanh(s.added(wx, h))),
}


@pytest.mark.parametrize("advance", cases(DETACHED))
def test_no_gradient_passes_what_is_detached(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


@torch.no_grad()
def largest(h: Tensor) -> Tensor:
    return 1 + h.abs().amax(-1, keepdim=True)


def normalised_without_gradient(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    with torch.no_grad():
        norm = s.weight_hh.norm()
    return torch.tanh(wx + h @ (s.weight_hh / norm).T)


def product_without_gradient(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    with torch.set_grad_enabled(False):
        gate = torch.sigmoid(h @ s.weight_hh)
    return gate * torch.tanh(s.added(wx, h))


def with_gradient_again(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    with torch.no_grad():
        scale = 1 + h.norm(dim=-1, keepdim=True)
        with torch.enable_grad():
            return torch.tanh(s.added(wx, h) / scale)


def everything_without_gradient(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.tanh(s.added(wx, h))


def weight_without_gradient(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    with torch.no_grad():
        doubled = 2 * s.weight_hh
    return torch.tanh(wx + h @ doubled.T * s.bias)


NO_GRAD: dict[str, Advance] = {
    "decorated function": lambda s, wx, h: torch.tanh(s.added(wx, h)) / largest(h),
    "norm of a weight": normalised_without_gradient,
    "weight": weight_without_gradient,
    "product": product_without_gradient,
    "a part with gradients inside": with_gradient_again,
    "the whole step": everything_without_gradient,
}


@pytest.mark.parametrize("advance", cases(NO_GRAD))
def test_no_gradient_passes_what_is_computed_without(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


class Clipped(Function):
    """The identity; its gradient is clipped. Written with ``setup_context``."""

    @staticmethod
    def forward(v: Tensor, limit: float) -> Tensor:
        return v.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.limit = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.clamp(-ctx.limit, ctx.limit), None


class TwoOutputs(Function):
    """A mask that has no gradient beside numbers that have one that is wrong on purpose."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> tuple[Tensor, Tensor]:
        mask = (v > 0).to(v.dtype)
        ctx.mark_non_differentiable(mask)
        return mask, v * mask

    @staticmethod
    def backward(ctx: Any, _: Tensor, gradient: Tensor) -> Tensor:
        return 0.25 * gradient


class WithBias(Function):
    """A sum whose second gradient is left out where it is not wanted."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, bias: Tensor) -> Tensor:
        return v + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        return gradient / 2, 3 * gradient.sum(0) if ctx.needs_input_grad[1] else None


class SpikingState(UserCell):
    def initial_state(self, x: Tensor) -> Double:
        return Double(self.zeros(x), self.zeros(x))

    def step(self, wx: Tensor, state: Double) -> tuple[Tensor, Double]:
        v, z = state
        v = 0.8 * v * (1 - z) + wx + z @ self.weight_hh.T
        z = Spike.apply(v - 0.5)
        return z, Double(v, z)


FUNCTIONS: dict[str, Advance] = {
    "spike": lambda s, wx, h: torch.tanh(wx + Spike.apply(h - 0.1) @ s.weight_hh.T),
    "reversed": lambda s, wx, h: torch.tanh(s.added(wx, Reversed.apply(h))),
    "damped by a number": lambda s, wx, h: Damped.apply(torch.tanh(s.added(wx, h)), 0.3),
    "with setup_context": lambda s, wx, h: Clipped.apply(torch.tanh(s.added(wx, h)), 0.05),
    "of two outputs": lambda s, wx, h: torch.sub(*TwoOutputs.apply(torch.tanh(s.added(wx, h)))),
    "of a parameter and a row": lambda s, wx, h: torch.tanh(WithBias.apply(s.added(wx, h), s.bias)),
    "of a weight": lambda s, wx, h: torch.tanh(wx + h @ StraightThrough.apply(s.weight_hh).T),
    "of a computed weight": lambda s, wx, h: torch.tanh(wx + h @ StraightThrough.apply(2 * s.weight_hh).tanh().T),
    "of a bias": lambda s, wx, h: torch.tanh(s.added(wx, h) + Reversed.apply(s.bias)),
}


@pytest.mark.parametrize("advance", cases(FUNCTIONS))
def test_a_function_with_a_gradient_of_its_own_has_that_gradient(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


def test_spikes_that_are_a_state_have_their_surrogate_gradient() -> None:
    assert_auto_equals_eager(SpikingState().double())


def hooked(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    v = torch.tanh(s.added(wx, h))
    if v.requires_grad:
        v.register_hook(lambda gradient: gradient.clamp(-0.05, 0.05))
    return v


def hooked_before(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    v = s.added(wx, h)
    if torch.is_grad_enabled():
        v.register_hook(lambda gradient: 0.5 * gradient)
    return torch.tanh(v)


def hooked_weight(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    w = 2 * s.weight_hh
    w.register_hook(lambda gradient: gradient.sign())
    return torch.tanh(wx + h @ w.T)


@pytest.mark.parametrize("advance", [hooked, hooked_before, hooked_weight])
def test_hooks_that_a_step_registers_are_called(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


def through_layer(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    return torch.tanh(s.layer(wx + h))


def doubled(module: nn.Module, given: Any, out: Any) -> Any:
    return (2 * given[0],)


def halved(module: nn.Module, out: Any) -> Any:
    return (out[0] / 2,)


HOOKED: dict[str, Callable[[nn.Linear], Any]] = {
    "forward": lambda layer: layer.register_forward_hook(lambda module, inputs, output: output.sin()),
    "before the forward pass": lambda layer: layer.register_forward_pre_hook(lambda module, inputs: inputs[0].cos()),
    "backward": lambda layer: layer.register_full_backward_hook(doubled),
    "before the backward pass": lambda layer: layer.register_full_backward_pre_hook(halved),
    "of a parameter": lambda layer: layer.weight.register_hook(lambda gradient: gradient / 3),
    "weight_norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "spectral_norm": parametrizations.spectral_norm,
}


@pytest.mark.parametrize("hook", cases(HOOKED))
def test_hooks_and_parametrizations_of_a_layer_are_part_of_a_step(hook: Callable[[nn.Linear], Any]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(HIDDEN, HIDDEN).double()
    hook(layer)
    cell = written(through_layer, layer=layer).eval()  # spectral_norm draws no more from its vectors
    assert_auto_equals_eager(cell)


SATURATED = {
    "softplus": F.softplus,
    "steep softplus": lambda v: F.softplus(v, beta=3, threshold=5),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "mish": F.mish,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu of tanh": lambda v: F.gelu(v, approximate="tanh"),
    "logsigmoid": F.logsigmoid,
    "log of sigmoid": lambda v: torch.log(torch.sigmoid(v) + 1e-6),
    "sigmoid": lambda v: 100 * torch.sigmoid(v),
    "softmax": lambda v: 100 * torch.softmax(v, -1),
    "log_softmax": lambda v: F.log_softmax(v, -1),
    "logsumexp": lambda v: torch.logsumexp(v, -1, keepdim=True),
    "logaddexp": lambda v: torch.logaddexp(v, -v),
    "hypot": lambda v: torch.hypot(v, 2 * v),
    "expm1": lambda v: torch.expm1(-v.abs()),
    "tanh": lambda v: 100 * torch.tanh(v),
    "erf": lambda v: 100 * torch.erf(v),
}


@pytest.mark.parametrize("function", cases(SATURATED))
def test_gradients_far_from_zero_are_as_finite_as_those_of_eager(function: Callable[[Tensor], Tensor]) -> None:
    cell = written(lambda s, wx, h: torch.tanh(h @ s.weight_hh.T) + 0.01 * function(100 * wx + h)).float()
    assert all(value.isfinite().all() for value in outcome(cell, sequence(cell), backend="eager").values())
    assert_auto_equals_eager(cell)
