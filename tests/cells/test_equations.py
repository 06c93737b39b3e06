"""Every cell against its printed equation: one gate, one matrix, one step at a time, in NumPy float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.backends import unroll
from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ConcatLinearCell,
    CoupledLSTMCell,
    ElmanCell,
    ForgetInputCell,
    ForgetInputOutputCell,
    GRUCell,
    IndRNNCell,
    JordanCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LSTMCell,
    MGUCell,
    MinGRUCell,
    MinLSTMCell,
    NoOutputGateLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    ResetAfterGRUCell,
)
from tests.conftest import TOLERANCE

Step = Callable[..., tuple[Any, ...]]


def sigma(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def normalise(a: Any, gain: Any, shift: Any = 0.0) -> Any:
    return gain * (a - a.mean()) / np.sqrt(((a - a.mean()) ** 2).mean() + 1e-5) + shift


class Weights:
    """The parameters of a cell by the names of the equations: ``W("x", "f")``, ``W("h", "f")``, ``b("f")``."""

    def __init__(self, cell: Cell[Any], gates: str) -> None:
        self.raw = {name: p.detach().numpy() for name, p in cell.named_parameters()}
        self.gates, self.hidden = gates, cell.hidden_size

    def rows(self, array: Any, gate: str) -> Any:
        start = self.gates.index(gate) * self.hidden
        return array[start : start + self.hidden]

    def __call__(self, of: str, gate: str) -> Any:
        return self.rows(self.raw["weight_ih" if of == "x" else "weight_hh"], gate)

    def b(self, gate: str) -> Any:
        return self.rows(self.raw["bias"], gate)

    def affine(self, gate: str, x: Any, h: Any) -> Any:
        return self("x", gate) @ x + self("h", gate) @ h + self.b(gate)


# One function per cell: (weights, x_t, old state) -> (output, new state ...), each for a single row.


def elman(f: Callable[[Any], Any]) -> Step:
    return lambda w, x, h: (f(w.affine("h", x, h)),) * 2


def concat_linear(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    matrix = np.concatenate([w.raw["weight_ih"], w.raw["weight_hh"]], axis=1)
    return (matrix @ np.concatenate([x, h]) + w.raw["bias"],) * 2


def jordan(w: Weights, x: Any, y: Any) -> tuple[Any, ...]:
    h = np.tanh(w.raw["weight_ih"] @ x + w.raw["weight_hh"] @ y + w.raw["bias"])
    return (w.raw["weight_ho"] @ h + w.raw["bias_o"],) * 2


def lstm(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    c = sigma(w.affine("f", x, h)) * c + sigma(w.affine("i", x, h)) * np.tanh(w.affine("g", x, h))
    h = sigma(w.affine("o", x, h)) * np.tanh(c)
    return h, h, c


def lstm_no_output_gate(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    c = sigma(w.affine("f", x, h)) * c + sigma(w.affine("i", x, h)) * np.tanh(w.affine("g", x, h))
    return sigma(c), sigma(c), c


def gru(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    z, r = sigma(w.affine("z", x, h)), sigma(w.affine("r", x, h))
    candidate = np.tanh(w("x", "n") @ x + w("h", "n") @ (r * h) + w.b("n"))
    return ((1 - z) * h + z * candidate,) * 2


def gru_reset_after(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    r, z = sigma(w.affine("r", x, h)), sigma(w.affine("z", x, h))
    n = np.tanh(w("x", "n") @ x + w.b("n") + r * (w("h", "n") @ h + w.raw["bias_hn"]))
    return ((1 - z) * n + z * h,) * 2


def forget_input(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    return (sigma(w.affine("f", x, h)) * h + sigma(w.affine("i", x, h)) * np.tanh(w.affine("n", x, h)),) * 2


def forget_input_output(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    new = forget_input(w, x, h)[0]
    return sigma(w.affine("o", x, h)) * np.tanh(new), new


def coupled(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    f = sigma(w.affine("f", x, h))
    c = f * c + (1 - f) * np.tanh(w.affine("g", x, h))
    h = sigma(w.affine("o", x, h)) * np.tanh(c)
    return h, h, c


def peephole(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    i = sigma(w.affine("i", x, h) + np.diag(w.raw["weight_ci"]) @ c)
    f = sigma(w.affine("f", x, h) + np.diag(w.raw["weight_cf"]) @ c)
    c = f * c + i * np.tanh(w.affine("g", x, h))
    h = sigma(w.affine("o", x, h) + np.diag(w.raw["weight_co"]) @ c) * np.tanh(c)
    return h, h, c


def projected(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    m, _, c = lstm(w, x, h, c)
    return w.raw["weight_hr"] @ m, w.raw["weight_hr"] @ m, c


def lstm_layer_norm(w: Weights, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    a = normalise(w.raw["weight_ih"] @ x, w.raw["gain_ih"]) + normalise(w.raw["weight_hh"] @ h, w.raw["gain_hh"])
    i, f, g, o = np.split(a + w.raw["bias"], 4)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    h = sigma(o) * np.tanh(normalise(c, w.raw["gain_c"], w.raw["bias_c"]))
    return h, h, c


def gru_layer_norm(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    n2 = 2 * w.hidden
    xh, hh, gx, gh = (w.raw[name] for name in ("weight_ih", "weight_hh", "gain_ih", "gain_hh"))
    zr = sigma(normalise(xh[:n2] @ x, gx[:n2]) + normalise(hh[:n2] @ h, gh[:n2]) + w.raw["bias"][:n2])
    z, r = np.split(zr, 2)
    recurrent = normalise(hh[n2:] @ h, gh[n2:], w.raw["bias_hn"])
    n = np.tanh(normalise(xh[n2:] @ x, gx[n2:], w.b("n")) + r * recurrent)
    return ((1 - z) * h + z * n,) * 2


def mgu(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    f = sigma(w.affine("f", x, h))
    return ((1 - f) * h + f * np.tanh(w("x", "n") @ x + w("h", "n") @ (f * h) + w.b("n")),) * 2


def ind_rnn(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    return (np.maximum(w.raw["weight_ih"] @ x + np.diag(w.raw["weight_hh"]) @ h + w.raw["bias"], 0),) * 2


def min_gru(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    z = sigma(w("x", "z") @ x + w.b("z"))
    return ((1 - z) * h + z * (w("x", "n") @ x + w.b("n")),) * 2


def min_lstm(w: Weights, x: Any, h: Any) -> tuple[Any, ...]:
    f, i = sigma(w("x", "f") @ x + w.b("f")), sigma(w("x", "i") @ x + w.b("i"))
    return (f / (f + i) * h + i / (f + i) * (w("x", "n") @ x + w.b("n")),) * 2


CASES: list[tuple[type[Cell[Any]], dict[str, Any], str, Step]] = [
    (ElmanCell, {}, "h", elman(np.tanh)),
    (ElmanCell, {"activation": "relu"}, "h", elman(lambda a: np.maximum(a, 0))),
    (ElmanCell, {"activation": "sigmoid"}, "h", elman(sigma)),
    (ElmanCell, {"activation": "identity"}, "h", elman(lambda a: a)),
    (ConcatLinearCell, {}, "h", concat_linear),
    (JordanCell, {}, "h", jordan),
    (JordanCell, {"output_size": 2}, "h", jordan),
    (LSTMCell, {}, "ifgo", lstm),
    (NoOutputGateLSTMCell, {}, "ifg", lstm_no_output_gate),
    (GRUCell, {}, "zrn", gru),
    (ResetAfterGRUCell, {}, "rzn", gru_reset_after),
    (ForgetInputCell, {}, "fin", forget_input),
    (ForgetInputOutputCell, {}, "fino", forget_input_output),
    (CoupledLSTMCell, {}, "fgo", coupled),
    (PeepholeLSTMCell, {}, "ifgo", peephole),
    (ProjectedLSTMCell, {"proj_size": 2}, "ifgo", projected),
    (LayerNormLSTMCell, {}, "ifgo", lstm_layer_norm),
    (LayerNormGRUCell, {}, "zrn", gru_layer_norm),
    (MGUCell, {}, "fn", mgu),
    (IndRNNCell, {}, "h", ind_rnn),
    (MinGRUCell, {}, "zn", min_gru),
    (MinLSTMCell, {}, "fin", min_lstm),
]


def test_every_cell_has_its_equation_here() -> None:
    assert {case[0] for case in CASES} == set(ALL_CELLS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join([case[0].__name__, *map(str, case[1].values())]))
def test_cell_matches_its_printed_equation(case, small, x) -> None:
    cell_type, options, gates, equation = case
    cell = small(cell_type, **options)
    assert "".join(cell.gates) == gates
    state = type(cell.initial_state(x))(*(torch.randn_like(leaf) for leaf in cell.initial_state(x)))
    y, final = unroll(cell, x, state, backend="eager")
    weights = Weights(cell, gates)
    for row in range(x.shape[0]):
        old = [leaf[row].numpy() for leaf in state]
        for t in range(x.shape[1]):
            output, *old = equation(weights, x[row, t].numpy(), *old)
            torch.testing.assert_close(y[row, t].detach().numpy(), output, **TOLERANCE[torch.float64])
        for leaf, expected in zip(final, old, strict=True):
            torch.testing.assert_close(leaf[row].detach().numpy(), expected, **TOLERANCE[torch.float64])


def test_initial_states_are_zero(x) -> None:
    for cell_type in ALL_CELLS:
        for leaf in cell_type(4, 5).initial_state(x):
            assert leaf.dtype == x.dtype
            assert not leaf.any()


def test_concat_linear_is_affine_in_the_whole_sequence(small, x) -> None:
    cell, other = small(ConcatLinearCell), torch.randn_like(x)

    def run(inputs: torch.Tensor) -> torch.Tensor:
        return unroll(cell, inputs, backend="eager")[0]

    torch.testing.assert_close(run(0.3 * x + 0.7 * other), 0.3 * run(x) + 0.7 * run(other), **TOLERANCE[torch.float64])


def test_linear_cells_are_linear_in_their_state(small, x) -> None:
    for cell_type in (MinGRUCell, MinLSTMCell):
        cell = small(cell_type)
        wx = cell.project(x[:, 0])
        a, b = cell.coefficients(wx)
        h = torch.randn_like(b)
        torch.testing.assert_close(cell.step(wx, type(cell.initial_state(x))(h))[0], a * h + b)


def test_min_lstm_stays_finite_where_both_gates_are_closed() -> None:
    cell = MinLSTMCell(4, 5)
    torch.nn.init.constant_(cell.bias, -500.0)
    y, _ = cell(torch.zeros(3, 4))
    assert y.isfinite().all()
    y.sum().backward()
    assert cell.bias.grad is not None
    assert cell.bias.grad.isfinite().all()


@pytest.mark.parametrize(
    ("ours", "theirs", "bias_hh"),
    [
        (ElmanCell, torch.nn.RNNCell, None),
        (LSTMCell, torch.nn.LSTMCell, None),
        (ResetAfterGRUCell, torch.nn.GRUCell, "n"),
    ],
)
def test_cell_matches_the_one_of_torch(ours, theirs, bias_hh, small, x) -> None:
    cell, reference = small(ours), theirs(4, 5, dtype=torch.float64)
    with torch.no_grad():
        reference.weight_ih.copy_(cell.weight_ih)
        reference.weight_hh.copy_(cell.weight_hh)
        reference.bias_ih.copy_(cell.bias)
        reference.bias_hh.zero_()
        if bias_hh:
            reference.bias_hh[10:] = cell.bias_hn
    y, state = cell(x[:, 0])
    _, state = cell(x[:, 1], state)
    first = reference(x[:, 0])
    second = reference(x[:, 1], first)
    torch.testing.assert_close(y, first[0] if isinstance(first, tuple) else first)
    torch.testing.assert_close(tuple(state), second if isinstance(second, tuple) else (second,))
