"""Weight drop, against a cell with the dropped weight."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.cells import (
    ElmanCell,
    LSTMCell,
    MinGRUCell,
    RecurrentDropout,
    WeightDrop,
)
from seqmodels.sequence import at_step
from tests.cells.conftest import some_state
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]


def test_weight_drop_drops_weights_once_a_sequence_for_every_row(small, x) -> None:
    inner = small(LSTMCell)
    cell = WeightDrop(inner, 0.4)
    torch.manual_seed(5)
    y, _ = unroll(cell, x, backend="eager")
    torch.manual_seed(5)
    dropped = copy.deepcopy(inner)
    dropped.weight_hh = nn.Parameter(F.dropout(inner.weight_hh, 0.4))
    torch.testing.assert_close(y, unroll(dropped, x, backend="eager")[0], **DOUBLE)
    y.sum().backward()
    assert inner.weight_hh.grad is not None


def test_weight_drop_reaches_weights_that_only_the_input_meets(small, x) -> None:
    cell = WeightDrop(small(MinGRUCell), 0.4, names=["weight_ih", "bias"])
    wx = cell.project(x)
    weight, bias = (weight.value for weight in wx.weights)
    assert (weight == 0).any()
    torch.testing.assert_close(wx.wx, F.linear(x, weight, bias), **DOUBLE)


def test_weight_drop_keeps_gradients_off_dropped_entries(small, x) -> None:
    cell = WeightDrop(small(ElmanCell), 0.4)
    wx = cell.project(x)
    state = some_state(cell, x)
    cell.step(at_step(wx, 0), state)[0].sum().backward()
    kept = wx.weights[0].value != 0
    assert ((cell.core.weight_hh.grad != 0) == kept).all()  # type: ignore[union-attr]


def test_recurrent_dropout_finds_a_weight_that_was_dropped(small, x) -> None:
    for order in ((0, 1), (1, 0)):
        inner = small(ElmanCell)
        wrappers = [lambda cell: WeightDrop(cell, 0.4), lambda cell: RecurrentDropout(cell, 0.4)]
        cell = inner
        for k in order:
            cell = wrappers[k](cell)
        wx, state = cell.project(x[:, 0]), some_state(inner, x)
        (weight,) = wx.weights if order == (1, 0) else wx.wx.weights
        masked = wx.wx if order == (1, 0) else wx
        plain = masked.wx if order == (1, 0) else masked.wx.wx
        expected = (plain + F.linear(state.h * masked.mask, weight.value)).tanh()
        torch.testing.assert_close(cell.step(wx, state)[0], expected, **DOUBLE)
