"""At kinks, at ties and at what is not finite a step has the values and the gradients that ``eager`` has."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.fusion.running import BATCH, HIDDEN, TIME, UserCell, assert_auto_equals_eager, cases

Function = Callable[[Tensor], Tensor]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


class OfInputs(UserCell):
    """Applies a function to its inputs as they are, so that a test decides where it is asked."""

    def __init__(self, function: Function, *, late: bool = True) -> None:
        super().__init__()
        self.input_size, self.function, self.late = HIDDEN, function, late

    def project(self, x: Tensor) -> Tensor:
        return x

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        if self.late:  # only a step can compute it, and what it sees is the input to the last bit
            return torch.tanh(h @ self.weight_hh.T) + self.function(wx + (h - h)) * self.bias
        return 0.2 * h + self.function(wx) * self.bias


def whole_numbers() -> Tensor:
    return torch.randint(-4, 8, (BATCH, TIME, HIDDEN), generator=torch.Generator().manual_seed(4)).double()


def constant(v: Tensor, number: float) -> Tensor:
    return torch.full_like(v, number)


KINKS: dict[str, Function] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda v: F.leaky_relu(v, 0.2),
    "hardtanh": F.hardtanh,
    "hardtanh of other bounds": lambda v: F.hardtanh(v, -2.0, 3.0),
    "hardswish": F.hardswish,
    "hardshrink": lambda v: F.hardshrink(v, 1.0),
    "softshrink": lambda v: F.softshrink(v, 1.0),
    "threshold": lambda v: F.threshold(v, 1.0, 5.0),
    "elu": F.elu,
    "clamp": lambda v: v.clamp(-1, 2),
    "clamp from below": lambda v: v.clamp(min=1),
    "clamp by tensors": lambda v: torch.clamp(v, constant(v, -1), constant(v, 2)),
    "clamp turned round": lambda v: v.clamp(2, 1),
    "maximum with a constant": lambda v: torch.maximum(v, constant(v, 1)),
    "minimum with a constant": lambda v: torch.minimum(v, torch.ones(HIDDEN, dtype=v.dtype)),
    "maximum with a number": lambda v: torch.maximum(v, torch.tensor(2.0, dtype=v.dtype)),
    "maximum with itself": lambda v: torch.maximum(v, v.roll(1, -1)),
    "max of two": lambda v: torch.max(v, -v),
    "fmax": lambda v: torch.fmax(v, constant(v, 1)),
    "amax": lambda v: v.amax(-1, keepdim=True) * v,
    "amin": lambda v: v - v.amin(-1, keepdim=True),
    "max along a row": lambda v: v * v.max(-1, keepdim=True).values,
    "stacked and largest": lambda v: torch.stack([v, constant(v, 1)], -1).amax(-1),
    "abs": torch.abs,
    "sign": lambda v: v + v.sign(),
    "norm at zero": lambda v: torch.relu(v - 6).norm(dim=-1, keepdim=True) + v,
    "norm of one number": lambda v: torch.linalg.vector_norm(v[..., None], dim=-1),
    "normalize at zero": lambda v: F.normalize(torch.relu(v - 6), dim=-1),
    "std of equal numbers": lambda v: constant(v, 2) * v[:, :1].expand_as(v).std(-1, keepdim=True),
    "atan2": lambda v: torch.atan2(v, v.roll(1, -1) + 0.5),
    "round": lambda v: v + (v / 2).round(),
    "floor": lambda v: v * (v / 2).floor(),
    "remainder": lambda v: torch.remainder(v, 2) + torch.fmod(v, 3),
    "remainder of negative numbers": lambda v: (-v) % 3 - v % -3,
    "pow": lambda v: v**3 + v.abs() ** 1.5,
    "pow of zero": lambda v: v**0 + v**1,
    "xlogy": lambda v: torch.xlogy(torch.relu(v), v.abs() + 1),
    "where at equality": lambda v: torch.where(v >= 1, v, 1.0) + torch.where(v == 2, 0.0, v),
    "prod with zeros": lambda v: v[:, :3].prod(-1, keepdim=True) + v,
    "copysign": lambda v: torch.copysign(constant(v, 2), v) * v,
}


@pytest.mark.parametrize("function", cases(KINKS))
def test_gradients_at_a_kink_and_at_a_tie_are_those_of_eager(function: Function) -> None:
    assert_auto_equals_eager(OfInputs(function).double(), whole_numbers())


def test_the_gradient_of_hardsigmoid_at_its_kinks_is_that_of_eager() -> None:
    # in single precision: torch's own gradient in double precision has a sixth rounded to single precision in it
    assert_auto_equals_eager(OfInputs(F.hardsigmoid), whole_numbers().float())


INFINITE: dict[str, Function] = {
    "sqrt at zero": lambda v: torch.sqrt(torch.relu(v)),
    "log at zero": lambda v: torch.log(torch.relu(v)),
    "reciprocal at zero": lambda v: 1 / v,
    "zero by zero": lambda v: v / v,
    "small powers at zero": lambda v: torch.relu(v) ** 0.5,
    "where beside a division by zero": lambda v: torch.where(v == 0, 0.0, 1 / v),
    "atan2 at zero": lambda v: torch.atan2(torch.relu(v), torch.relu(v)),
    "exp that overflows": lambda v: torch.exp(200 * v),
    "zero times infinity": lambda v: v * 0 * torch.exp(1000 * v),
    "infinity less infinity": lambda v: torch.exp(1000 * v) - torch.exp(1000 * v),
    "power of a negative number": lambda v: v**0.5,
    "acos outside": torch.acos,
}


@pytest.mark.parametrize("function", cases(INFINITE))
def test_what_is_not_finite_is_so_in_the_same_places(function: Function) -> None:
    assert_auto_equals_eager(OfInputs(lambda v: torch.tanh(function(v))).double(), whole_numbers())


def spoiled() -> Tensor:
    """Inputs of which a few are NaN or infinite."""
    x = torch.randn(BATCH, TIME, HIDDEN, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[1, 7, 3], x[4, 3, 29], x[6, 2, 0], x[6, 2, 1] = (float(number) for number in ("nan", "inf", "-inf", "nan"))
    return x


NOT_A_NUMBER: dict[str, Function] = {
    "amax": lambda v: v.amax(-1, keepdim=True).expand_as(v),
    "amin": lambda v: v.amin(-1, keepdim=True).expand_as(v),
    "max": lambda v: v - v.max(-1, keepdim=True).values,
    "relu": torch.relu,
    "clamp": lambda v: v.clamp(-1, 1),
    "maximum": lambda v: torch.maximum(v, constant(v, 0.2)),
    "minimum": lambda v: torch.minimum(constant(v, 0.2), v),
    "fmin": lambda v: torch.fmin(v, constant(v, 0.2)),
    "hardtanh": F.hardtanh,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "softplus": F.softplus,
    "tanh and sigmoid": lambda v: torch.tanh(v) * torch.sigmoid(v),
    "sign": torch.sign,
    "softmax": lambda v: torch.softmax(v, -1),
    "logsumexp": lambda v: torch.logsumexp(v, -1, keepdim=True),
    "times zero": lambda v: v * 0,
    "less itself": lambda v: v - v,
    "by itself": lambda v: v / v,
    "to the power of zero": lambda v: v**0,
    "nan_to_num": lambda v: torch.nan_to_num(v, nan=0.5, posinf=2.0),
    "where finite": lambda v: torch.where(torch.isfinite(v), v, 0.0),
    "where not a number": lambda v: torch.where(v.isnan(), torch.zeros_like(v), v.clamp(max=3)),
    "where unequal to itself": lambda v: torch.where(v != v, 0.0, torch.tanh(v)),  # noqa: PLR0124
    "masked_fill": lambda v: v.masked_fill(v.isinf(), 0.0),
    "comparison": lambda v: (v > 0).to(v) - (v <= 0).to(v),
    "constant NaN": lambda v: torch.where(v > 2, constant(v, float("nan")), v),
    "round": lambda v: v.round() + v.floor(),
    "product": lambda v: v @ torch.eye(HIDDEN, dtype=v.dtype),
}


@pytest.mark.parametrize("function", cases(NOT_A_NUMBER))
def test_what_is_no_number_goes_where_it_goes_in_eager(function: Function) -> None:
    assert_auto_equals_eager(OfInputs(function, late=False).double(), spoiled())
