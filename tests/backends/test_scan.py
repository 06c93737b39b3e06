"""The parallel scan: exact at any length, stable over long ones, and differentiable twice."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels.backends import backends_for, unroll
from seqmodels.backends.scan import linear_recurrence, solve_in_pairs, solve_in_turn
from seqmodels.cells import LSTMCell, MinGRUCell, MinLSTMCell
from seqmodels.cells.base import LinearCell
from tests.backends.fakes import HIDDEN, INPUT, with_gradients, with_random_parameters
from tests.conftest import TOLERANCE


def step_by_step(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    steps = []
    for t in range(a.shape[1]):
        h = a[:, t] * h + b[:, t]
        steps.append(h)
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize("time", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_the_scan_is_the_loop(time: int) -> None:
    a, b, h0 = (torch.randn(size, dtype=torch.float64) for size in ((3, time, 5), (3, time, 5), (3, 5)))
    assert_close(linear_recurrence(a, b, h0), step_by_step(a, b, h0), **TOLERANCE[torch.float64])
    for solve in (solve_in_turn, solve_in_pairs):  # each device takes one of them: both are checked on any
        assert_close(solve(a, b), step_by_step(a, b, torch.zeros_like(h0)), **TOLERANCE[torch.float64])


def test_steps_joined_in_pairs_stay_accurate_over_a_thousand_in_single_precision() -> None:
    a, b = torch.rand(2, 1000, 5, dtype=torch.float64) ** 0.01, torch.randn(2, 1000, 5, dtype=torch.float64)
    expected = solve_in_turn(a, b)
    error = (solve_in_pairs(a.float(), b.float()).double() - expected).abs().max() / expected.abs().max()
    assert error < 1e-5


def test_integers_come_out_exactly() -> None:
    a, b = torch.full((1, 6, 1), 2.0), torch.ones(1, 6, 1)
    assert linear_recurrence(a, b, torch.tensor([[3.0]]))[0, :, 0].tolist() == [7, 15, 31, 63, 127, 255]


def test_a_coefficient_of_zero_forgets_and_infinity_does_not_spread_back() -> None:
    a = torch.tensor([0.5, 0.0, 0.5])[None, :, None]
    b = torch.tensor([1.0, 3.0, torch.inf])[None, :, None]
    assert linear_recurrence(a, b, torch.ones(1, 1))[0, :, 0].tolist() == [1.5, 3.0, torch.inf]


@pytest.mark.parametrize("time", [1, 2, 5])
def test_first_and_second_derivatives(time: int) -> None:
    shapes = ((2, time, 3), (2, time, 3), (2, 3))
    inputs = tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    assert torch.autograd.gradcheck(linear_recurrence, inputs)
    assert torch.autograd.gradgradcheck(linear_recurrence, inputs)


@pytest.mark.parametrize("make", [MinGRUCell, MinLSTMCell])
def test_a_thousand_steps_in_single_precision_stay_close_to_double(make: type) -> None:
    cell = with_random_parameters(make(INPUT, HIDDEN))
    x = torch.randn(2, 1000, INPUT, dtype=torch.float64)
    lengths = torch.tensor([1000, 601])
    expected = with_gradients(cell, x, lengths=lengths, backend="eager")
    actual = with_gradients(cell.float(), x.float(), lengths=lengths, backend="scan")
    for name, value in expected.items():
        # a gradient of the parameters sums 1600 terms: its error is one of the whole, not of the entry
        scale = value.abs().max()
        assert ((actual[name].double() - value).abs().max() / scale) < 1e-5, name


def test_an_open_memory_neither_grows_nor_fades_over_a_thousand_steps() -> None:
    h = linear_recurrence(torch.ones(1, 1000, 1), torch.zeros(1, 1000, 1), torch.full((1, 1), 0.3))
    assert torch.equal(h, torch.full_like(h, 0.3))


class OwnStep(MinGRUCell):
    def step(self, wx: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:  # type: ignore[override]
        return state[0], state


def test_scan_refuses_what_is_not_linear() -> None:
    x = torch.zeros(1, 1, INPUT)
    assert "LSTMCell is not linear in its state" in (backends_for(LSTMCell(INPUT, HIDDEN), x)["scan"] or "")
    assert "OwnStep has a step of its own" in (backends_for(OwnStep(INPUT, HIDDEN), x)["scan"] or "")
    with pytest.raises(ValueError, match="cannot run this: OwnStep has a step of its own"):
        unroll(OwnStep(INPUT, HIDDEN), x, backend="scan")


@pytest.mark.parametrize("name", ["step", "project", "coefficients", "initial_state", "forward"])
def test_scan_refuses_a_cell_with_a_method_of_its_own(name: str) -> None:
    cell, x = MinGRUCell(INPUT, HIDDEN), torch.zeros(1, 1, INPUT)
    setattr(cell, name, getattr(MinGRUCell(INPUT, HIDDEN), name))
    assert backends_for(cell, x)["scan"] == f"this MinGRUCell has a method {name} of its own"
    delattr(cell, name)
    assert backends_for(cell, x)["scan"] is None


@pytest.mark.parametrize("kind", [MinGRUCell, LinearCell])
def test_a_step_that_was_replaced_is_the_one_that_runs(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, x = MinGRUCell(INPUT, HIDDEN), torch.randn(2, 3, INPUT)
    monkeypatch.setattr(kind, "step", OwnStep.step)
    assert "has a step of its own" in (backends_for(cell, x)["scan"] or "")
    assert torch.equal(unroll(cell, x)[0], torch.zeros(2, 3, HIDDEN))


@pytest.mark.parametrize("name", ["project", "coefficients"])
def test_a_scan_runs_what_a_class_has_now(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, x = MinGRUCell(INPUT, HIDDEN), torch.randn(2, 3, INPUT)
    before, method = unroll(cell, x, backend="scan")[0], getattr(MinGRUCell, name)
    monkeypatch.setattr(MinGRUCell, name, lambda cell, value: method(cell, 2 * value))
    y = unroll(cell, x, backend="scan")[0]
    assert_close(y, unroll(cell, x, backend="eager")[0])
    assert not torch.allclose(y, before)
