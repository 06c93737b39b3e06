"""Steps that no fused kernel can compute are refused in words, with the line of the user's code."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import Cell
from seqmodels.errors import Refused
from seqmodels.fusion.plan import recognise
from seqmodels.fusion.portable.executor import Portable
from seqmodels.fusion.validate import _difference
from tests.fusion.running import assert_equals_eager

SIZE = 5


class UserState(NamedTuple):
    h: Tensor


class UserCell(Cell[UserState]):
    def __init__(self) -> None:
        super().__init__()
        self.input_size = self.hidden_size = SIZE
        self.weight = nn.Parameter(torch.randn(SIZE, SIZE) / 3)
        self.bias = nn.Parameter(torch.randn(SIZE))

    def initial_state(self, x: Tensor) -> UserState:
        return UserState(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, wx: Tensor, state: UserState) -> tuple[Tensor, Any]:
        h = self.advance(wx, state.h)
        return h, UserState(h)

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h @ self.weight


class Branching(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return -wx if h.sum() > 0 else wx


class Reading(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return h * wx.max().item()


class UnsupportedOperator(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        before = wx + h @ self.weight
        return torch.special.bessel_j0(before)


class MultiplyingStates(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return h @ (h.t() @ wx)


class Drawing(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + torch.randn_like(h)


class Dropping(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + F.dropout(h, 0.5)


class MixingRows(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx - h.mean(0)


class ReversingRows(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h.flip(0)


class CountingRows(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h / h.shape[0]


class WritingToItsState(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h.mul_(0.5)


class WritingToPart(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        h = h @ self.weight
        h[:, :2] = 0
        return wx + h


class Failing(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        raise KeyError("forgotten")


class Growing(UserCell):
    def step(self, wx: Tensor, state: UserState) -> tuple[Tensor, Any]:
        return wx, UserState(torch.cat([wx, state.h], -1))


class Multiplying(UserCell):
    def step(self, wx: Tensor, state: UserState) -> tuple[Tensor, Any]:
        return wx, (wx, wx)


def refusal(cell: Cell[Any]) -> str:
    x = torch.zeros(3, 4, SIZE)
    with pytest.raises(Refused) as caught:
        recognise(cell).plan(cell.project(x), cell.initial_state(x[:, 0]))
    return str(caught.value)


@pytest.mark.parametrize(
    ("make", "reason", "code"),
    [
        (Branching, "reads a number out of a tensor", "return -wx if h.sum() > 0 else wx"),
        (Reading, "reads a number out of a tensor", "return h * wx.max().item()"),
        (UnsupportedOperator, "aten.special_bessel_j0", "return torch.special.bessel_j0(before)"),
        (MultiplyingStates, "both depend on the state", "return h @ (h.t() @ wx)"),
        (Drawing, "draws random numbers", "return wx + torch.randn_like(h)"),
        (Dropping, "draws random numbers", "return wx + F.dropout(h, 0.5)"),
        (MixingRows, "along the batch", "return wx - h.mean(0)"),
        (ReversingRows, "along the batch", "return wx + h.flip(0)"),
        (CountingRows, "the size of the batch", "return wx + h / h.shape[0]"),
        (WritingToItsState, "in place", "return wx + h.mul_(0.5)"),
        (Failing, "KeyError: 'forgotten'", 'raise KeyError("forgotten")'),
    ],
)
def test_a_refusal_names_the_reason_and_the_line(make: type[UserCell], reason: str, code: str) -> None:
    said, place = refusal(make()).split("\n")
    assert reason in said
    assert place.startswith(f"in advance, {__file__}:")
    assert place.endswith(code)


def test_a_state_that_changes_its_shape_is_refused() -> None:
    assert "changes in a step from" in refusal(Growing())


def test_a_state_of_other_fields_is_refused() -> None:
    assert "was given UserState(tensor) and returns tuple(tensor, tensor)" in refusal(Multiplying())


def test_a_refusal_is_the_same_when_it_is_asked_for_again() -> None:
    cell = UnsupportedOperator()
    assert refusal(cell) == refusal(cell)


class OverwritingItsOwn(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        h = h @ self.weight + wx
        h *= 2
        h.add_(1)
        return h.tanh_()


class Spreading(UserCell):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        bias = self.bias.expand(h.shape[0], -1)
        return torch.addmm(bias, h[: wx.shape[0]], self.weight) * self.bias[None].expand_as(h) + wx.new_ones(wx.shape)


class Nested(UserCell):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(2 * SIZE, 3), nn.GELU(), nn.Linear(3, SIZE, bias=False), nn.SiLU())

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return self.hidden(torch.cat([wx, h], -1)) + F.softplus(h)


@pytest.mark.parametrize("make", [OverwritingItsOwn, WritingToPart, Spreading, Nested])
def test_what_can_be_expressed_is_not_refused(make: type[UserCell]) -> None:
    assert_equals_eager(Portable(), make().double(), torch.randn(3, 4, SIZE, dtype=torch.float64))


def test_a_kernel_may_be_as_far_off_as_the_loop_in_its_dtype() -> None:
    exact = {"the gradient": torch.tensor([1.0, 2.0], dtype=torch.float64)}

    def off(loop: float, kernel: float) -> str:
        rounded, got = ({"the gradient": exact["the gradient"].bfloat16() + by} for by in (loop, kernel))
        return _difference(exact, rounded, got, 0.2, finite=True)

    assert not off(0.0, 0.25)
    assert "the gradient differs by 0.5" in off(0.0, 1.0)
    assert not off(0.5, 1.0)  # the step amplifies rounding
    assert "differs by 2" in off(0.5, 5.0)
