"""Recurrent dropout and layer normalisation, against NumPy with the mask known; finding the products they act on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.cells import (
    Cell,
    ElmanCell,
    GRUCell,
    IndRNNCell,
    JordanCell,
    LSTMCell,
    MinGRUCell,
    ProjectedLSTMCell,
    RecurrentDropout,
    RecurrentLayerNorm,
)
from tests.cells.conftest import sigma, some_state
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]


def test_recurrent_dropout_of_an_lstm_masks_the_state_of_each_gate_by_itself(small, x) -> None:
    inner = small(LSTMCell)
    cell = RecurrentDropout(inner, 0.4)
    wx, state = cell.project(x[:, 0]), some_state(cell, x)
    y, new = cell.step(wx, state)
    w_ih, w_hh, b = (p.detach().numpy() for p in (inner.weight_ih, inner.weight_hh, inner.bias))
    masks = np.split(wx.mask.numpy(), 4, axis=1)
    for row in range(3):
        h, c = (leaf[row].numpy() for leaf in state)
        i, f, g, o = (
            w_ih[5 * k : 5 * k + 5] @ x[row, 0].numpy()
            + w_hh[5 * k : 5 * k + 5] @ (masks[k][row] * h)
            + b[5 * k : 5 * k + 5]
            for k in range(4)
        )
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        torch.testing.assert_close(new.c[row].detach().numpy(), c, **DOUBLE)
        torch.testing.assert_close(y[row].detach().numpy(), sigma(o) * np.tanh(c), **DOUBLE)


def test_recurrent_dropout_leaves_the_carry_path_of_a_gru_whole(small, x) -> None:
    inner = small(GRUCell)
    cell = RecurrentDropout(inner, 0.4)
    wx, state = cell.project(x[:, 0]), some_state(cell, x)
    y, _ = cell.step(wx, state)
    w_hh, mask = inner.weight_hh.detach().numpy(), wx.mask.numpy()
    for row in range(3):
        h = state.h[row].numpy()
        xz, xr, xn = np.split(wx.wx[row].detach().numpy(), 3)
        mz, mr, mn = np.split(mask[row], 3)
        z = sigma(xz + w_hh[:5] @ (mz * h))
        r = sigma(xr + w_hh[5:10] @ (mr * h))
        n = np.tanh(xn + w_hh[10:] @ (r * (mn * h)))
        torch.testing.assert_close(y[row].detach().numpy(), (1 - z) * h + z * n, **DOUBLE)


def test_recurrent_dropout_of_a_vector_weight_masks_what_it_multiplies(small, x) -> None:
    inner = small(IndRNNCell)
    cell = RecurrentDropout(inner, 0.4)
    wx, state = cell.project(x[:, 0]), some_state(cell, x)
    expected = (wx.wx + inner.weight_hh * wx.mask * state.h).relu()
    torch.testing.assert_close(cell.step(wx, state)[0], expected, **DOUBLE)


def test_recurrent_dropout_masks_have_the_size_of_what_is_fed_back() -> None:
    x = torch.zeros(3, 7, 4)
    assert RecurrentDropout(ProjectedLSTMCell(4, 5, proj_size=2), 0.4).project(x).mask.shape == (3, 7, 4 * 2)
    assert RecurrentDropout(JordanCell(4, 5, output_size=6), 0.4).project(x).mask.shape == (3, 7, 6)
    assert RecurrentDropout(LSTMCell(4, 5), 0.4).project(x[:, 0]).mask.shape == (3, 20)


def test_recurrent_dropout_draws_one_mask_a_sequence_and_gate() -> None:
    mask = RecurrentDropout(LSTMCell(4, 500), 0.3).project(torch.zeros(3, 7, 4)).mask
    assert (mask == mask[:, :1]).all()
    assert mask.stride(1) == 0  # held once, not per step
    torch.testing.assert_close(mask.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert abs((mask[:, 0] == 0).double().mean() - 0.3) < 0.03
    gates = mask[:, 0].unflatten(-1, (4, 500)).flatten(0, 1)
    assert len(gates.unique(dim=0)) == 12  # three sequences of four gates, all apart


class SpelledCell(Cell[Any]):
    """An LSTM-like user's cell whose products are spelled in a given way."""

    class State(NamedTuple):
        h: Tensor

    gates = ("a", "b")

    def __init__(self, spelling: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.spelling = 4, 5, spelling
        self.weight_ih = nn.Parameter(torch.empty(10, 4))
        self.weight_hh = nn.Parameter(torch.empty(10, 5))
        self.reset_parameters()

    def initial_state(self, x: Tensor) -> Any:
        return self.State(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih)

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        a, b = (wx + self.spelling(state.h, self.weight_hh)).chunk(2, dim=-1)
        h = a.tanh() * b.sigmoid()
        return h, self.State(h)


SPELLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": F.linear,
    "linear with a bias": lambda h, w: F.linear(h, w, w.new_zeros(10)),
    "keywords": lambda h, w: F.linear(input=h, weight=w),
    "@ t()": lambda h, w: h @ w.t(),
    "@ T": lambda h, w: h @ w.T,
    "@ mT": lambda h, w: h @ w.mT,
    "matmul of transpose": lambda h, w: torch.matmul(h, w.transpose(0, 1)),
    "method": lambda h, w: h.mm(w.t()),
    "addmm": lambda h, w: torch.addmm(h.new_zeros(10), h, w.t()),
    "slices": lambda h, w: torch.cat([F.linear(h, w[:5]), F.linear(h, w[5:, :])], -1),
    "columns of the transpose": lambda h, w: torch.cat([h @ w.t()[:, :5], h @ w.t()[:, 5:]], -1),
    "chunk": lambda h, w: torch.cat([F.linear(h, part) for part in w.chunk(2)], -1),
    "split": lambda h, w: torch.cat([F.linear(h, part) for part in w.split([5, 5])], -1),
    "narrow": lambda h, w: torch.cat([F.linear(h, w.narrow(0, start, 5)) for start in (0, 5)], -1),
    "narrow by keyword": lambda h, w: torch.cat([F.linear(h, w.narrow(0, start=s, length=5)) for s in (0, 5)], -1),
    "normalised rows": lambda h, w: F.linear(h, w / w.detach().mul(0).exp()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_products_are_found_however_they_are_spelled(spelling, x) -> None:
    inner = SpelledCell(SPELLINGS[spelling]).double()
    cell = RecurrentDropout(inner, 0.4)
    wx, state = cell.project(x[:, 0]), some_state(inner, x)
    products = [
        F.linear(state.h * mask, w) for mask, w in zip(wx.mask.chunk(2, -1), inner.weight_hh.chunk(2), strict=True)
    ]
    a, b = wx.wx.chunk(2, -1)
    expected = (a + products[0]).tanh() * (b + products[1]).sigmoid()
    torch.testing.assert_close(cell.step(wx, state)[0], expected, **DOUBLE)


def test_a_scaled_vector_weight_is_still_found(small, x) -> None:
    class ScaledCell(SpelledCell):
        scale: nn.Parameter

        def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
            h = (wx + state.h * (self.weight_hh * self.scale)).tanh()
            return h, self.State(h)

    inner = ScaledCell(torch.mul).double()
    inner.weight_ih, inner.weight_hh = (nn.Parameter(torch.randn(*shape).double()) for shape in ((5, 4), (5,)))
    inner.scale = nn.Parameter(torch.tensor(0.5).double())
    cell = RecurrentDropout(inner, 0.4)
    wx, state = cell.project(x[:, 0]), some_state(inner, x)
    expected = (wx.wx + state.h * wx.mask * inner.weight_hh * 0.5).tanh()
    torch.testing.assert_close(cell.step(wx, state)[0], expected, **DOUBLE)


@pytest.mark.parametrize("order", [1, -1])
def test_parametrized_weights_are_found(order, small, x) -> None:
    inner = small(GRUCell)
    nn.utils.parametrizations.weight_norm(inner, "weight_hh")
    plain = small(GRUCell)
    plain.load_state_dict({name: getattr(inner, name) for name in ("weight_ih", "weight_hh", "bias")})
    outputs = []
    for core in (inner, plain):
        cell: Any = core
        for wrapper in (lambda cell: RecurrentDropout(cell, 0.4), RecurrentLayerNorm)[::order]:
            cell = wrapper(cell)
        torch.manual_seed(4)
        outputs.append(unroll(cell, x, backend="eager")[0])
    torch.testing.assert_close(*outputs, **DOUBLE)


@pytest.mark.parametrize("wrapper", [lambda cell: RecurrentDropout(cell, 0.1), RecurrentLayerNorm])
def test_a_cell_whose_products_cannot_be_found_is_refused_with_the_reason(wrapper) -> None:
    with pytest.raises(ValueError, match="MinGRUCell has no weight_hh"):
        wrapper(MinGRUCell(4, 5))
    unknown = SpelledCell(lambda h, w: torch.einsum("bk,rk->br", h, w))
    with pytest.raises(ValueError, match=r"finds no product with the rows of weight_hh for a, b in SpelledCell.step"):
        wrapper(unknown)
    half = SpelledCell(lambda h, w: torch.cat([F.linear(h, w[:5]), torch.einsum("bk,rk->br", h, w[5:])], -1))
    with pytest.raises(ValueError, match=r"finds no product with the rows of weight_hh for b in"):
        wrapper(half)
    cut = SpelledCell(lambda h, w: torch.cat([F.linear(h, w[:3]), F.linear(h, w[3:])], -1))
    with pytest.raises(ValueError, match="with slices of whole gates"):
        wrapper(cut)
    odd = ElmanCell(4, 5)
    odd.weight_hh = nn.Parameter(torch.zeros(7, 5))
    with pytest.raises(ValueError, match=r"whole gates of 5 rows, got \(7, 5\)"):
        wrapper(odd)


def test_recurrent_layer_norm_normalises_each_gate_of_each_product(small, x) -> None:
    inner = small(GRUCell)
    cell = RecurrentLayerNorm(inner)
    for parameter in (cell.gain, cell.bias):
        nn.init.uniform_(parameter)
    wx, state = cell.project(x[:, 0]), some_state(cell, x)
    y, _ = cell.step(wx, state)
    w_hh, gain, bias = (p.detach().numpy() for p in (inner.weight_hh, cell.gain, cell.bias))

    def product(k: int, operand: Any) -> Any:
        rows = slice(5 * k, 5 * k + 5)
        a = w_hh[rows] @ operand
        return gain[rows] * (a - a.mean()) / np.sqrt(a.var() + 1e-5) + bias[rows]

    for row in range(3):
        h = state.h[row].numpy()
        xz, xr, xn = np.split(wx[row].detach().numpy(), 3)
        z, r = sigma(xz + product(0, h)), sigma(xr + product(1, h))
        n = np.tanh(xn + product(2, r * h))
        torch.testing.assert_close(y[row].detach().numpy(), (1 - z) * h + z * n, **DOUBLE)


def test_recurrent_layer_norm_ignores_the_scale_of_the_recurrent_weights(small, x) -> None:
    inner = small(LSTMCell)
    cell = RecurrentLayerNorm(inner)
    state = some_state(cell, x)
    with torch.no_grad():
        inner.weight_hh.mul_(1e3)
        y, _ = unroll(cell, x, state, backend="eager")
        inner.weight_hh.mul_(1e3)
    torch.testing.assert_close(unroll(cell, x, state, backend="eager")[0], y, rtol=1e-5, atol=1e-5)
