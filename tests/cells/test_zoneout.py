"""Zoneout, against its definition with the noise known."""

import copy

import pytest
import torch

from seqmodels.backends import unroll
from seqmodels.cells import (
    ForgetInputOutputCell,
    GRUCell,
    LSTMCell,
    Zoneout,
)
from seqmodels.sequence import Fixed, at_step
from tests.cells.conftest import some_state
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]


def test_zoneout_mixes_old_and_new_by_the_noise_it_drew(small, x) -> None:
    inner = small(LSTMCell)
    cell = Zoneout(inner, {"h": 0.3, "c": 0.6})
    wx, state = cell.project(x[:, 0]), some_state(cell, x)
    y, new = cell.step(wx, state)
    _, plain = inner.step(wx.wx, state)
    for old, without, got, keep in zip(state, plain, new, wx.keep, strict=True):
        assert set(keep.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(got, torch.where(keep.bool(), old, without), rtol=0, atol=0)
    assert y is new.h


def test_zoneout_is_an_expectation_in_evaluation(small, x) -> None:
    inner = small(LSTMCell)
    cell = Zoneout(inner, {"c": 0.6}).eval()
    state = some_state(cell, x)
    wx = cell.project(x)
    assert all(isinstance(keep, Fixed) for keep in wx.keep)
    y, new = cell.step(at_step(wx, 0), state)
    plain_y, plain = inner.step(inner.project(x[:, 0]), state)
    torch.testing.assert_close(new.c, 0.6 * state.c + 0.4 * plain.c, **DOUBLE)
    torch.testing.assert_close((y, new.h), (plain_y, plain.h), **DOUBLE)


def test_zoneout_of_everything_keeps_the_state_for_ever(small, x) -> None:
    cell = Zoneout(small(LSTMCell), {"h": 1.0, "c": 1})
    state = some_state(cell, x)
    for module in (cell, copy.deepcopy(cell).eval()):
        y, final = unroll(module, x, state, backend="eager")
        torch.testing.assert_close(tuple(final), tuple(state), rtol=0, atol=0)
        torch.testing.assert_close(y, state.h[:, None].expand_as(y), rtol=0, atol=0)


def test_zoneout_draws_anew_at_each_step_with_its_rate() -> None:
    (keep,) = Zoneout(GRUCell(4, 200), {"h": 0.3}).project(torch.zeros(3, 7, 4)).keep
    assert keep.shape == (3, 7, 200)
    assert abs(keep.mean() - 0.3) < 0.03
    assert len(keep.flatten(0, 1).unique(dim=0)) == 21


@pytest.mark.parametrize("rate", [1e-12, 0.25, 0.999, 1.0])
def test_zoneout_draws_any_number_of_units_at_any_rate(rate: float) -> None:
    (keep,) = Zoneout(GRUCell(4, 301), {"h": rate}).project(torch.zeros(5, 67, 4)).keep
    assert keep.shape == (5, 67, 301)
    assert set(keep.unique().tolist()) <= {0.0, 1.0}
    spread = (rate * (1 - rate) / keep.numel()) ** 0.5
    assert abs(keep.double().mean() - rate) <= 4 * spread + 1e-6
    numbers = keep.flatten().double()  # four of one random number: none of them tells of another
    for lag in (1, 2, 3):
        assert abs((numbers[:-lag] * numbers[lag:]).mean() - rate**2) <= 4 * spread + 1e-6


def test_zoneout_can_be_mapped_with_the_same_noise_for_all() -> None:
    cell, x = Zoneout(GRUCell(3, 5), {"h": 0.5}), torch.randn(2, 7, 3)
    y = torch.vmap(lambda one: unroll(cell, one, backend="eager")[0], randomness="same")(torch.stack([x, x]))
    torch.testing.assert_close(y[0], y[1], **TOLERANCE[torch.float32])


@pytest.mark.parametrize(("batch", "size"), [(2, 5), (2000, 101)], ids=["small", "several MiB of noise"])
def test_zoneout_can_be_differentiated_by_a_transform(batch: int, size: int) -> None:
    cell, x = Zoneout(GRUCell(3, size), {"h": 0.5}), torch.randn(batch, 6, 3)

    def loss(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return unroll(cell, x, backend="eager")[0].sum()

    given = x.clone().requires_grad_()
    loss(given).backward()
    torch.testing.assert_close(torch.func.grad(loss)(x), given.grad, **TOLERANCE[torch.float32])


def test_zoneout_leaves_an_output_that_is_no_state_alone(small, x) -> None:
    inner = small(ForgetInputOutputCell)
    cell = Zoneout(inner, {"h": 1.0})
    state = some_state(cell, x)
    wx = cell.project(x[:, 0])
    y, new = cell.step(wx, state)
    torch.testing.assert_close(y, inner.step(wx.wx, state)[0], rtol=0, atol=0)
    torch.testing.assert_close(new.h, state.h, rtol=0, atol=0)


def test_zoneout_of_nothing_is_the_cell() -> None:
    inner = LSTMCell(4, 5)
    assert Zoneout(inner, {}).effective() is inner
    assert Zoneout(inner, {"h": 0.0, "c": 0}).effective() is inner
    assert Zoneout(inner, {"h": 0.1}).eval().effective() is not inner
