"""Derivatives: numerically for every cell and wrapper, and back-propagation through time derived by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.backends import unroll
from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ElmanCell,
    GRUCell,
    IndRNNCell,
    LearnedInitialState,
    LSTMCell,
)
from seqmodels.sequence import at_step
from tests.cells.conftest import WRAPPERS
from tests.conftest import TOLERANCE


def check_gradients(cell: Cell[Any], x: Tensor) -> None:
    """Compare derivatives by input, initial state and every parameter with finite differences, noise held fixed."""
    names = [name for name, _ in cell.named_parameters()]
    state_type = type(cell.initial_state(x))

    class Steps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            torch.manual_seed(3)  # each evaluation draws the same masks
            wx, new = cell.project(x), state_type(*state) if state else cell.initial_state(x)
            outputs = []
            for t in range(x.shape[1]):
                y, new = cell.step(at_step(wx, t), new)
                outputs.append(y)
            return torch.stack(outputs, 1), *new

    steps = Steps()

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        parameters = {f"cell.{name}": value for name, value in zip(names, rest, strict=False)}
        return torch.func.functional_call(steps, parameters, (x, *rest[len(names) :]))

    state = () if isinstance(cell, LearnedInitialState) else cell.initial_state(x)
    leaves = [x, *cell.parameters(), *(leaf + 0.3 for leaf in state)]
    assert torch.autograd.gradcheck(run, [leaf.detach().clone().requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("cell_type", ALL_CELLS)
def test_gradients_of_cells(cell_type) -> None:
    check_gradients(cell_type(2, 3).double(), torch.randn(2, 3, 2, dtype=torch.float64))


@pytest.mark.parametrize("cell_type", [LSTMCell, GRUCell, IndRNNCell])
@pytest.mark.parametrize("name", WRAPPERS)
def test_gradients_of_wrappers(cell_type, name) -> None:
    check_gradients(WRAPPERS[name](cell_type(2, 3).double()), torch.randn(2, 3, 2, dtype=torch.float64))


def assert_gradients(module: torch.nn.Module, expected: dict[str, Any]) -> None:
    assert {name for name, _ in module.named_parameters()} == set(expected)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad.numpy(), expected[name], **TOLERANCE[torch.float64])


def elman_backward(cell: Any, x: Any, h: Any, dy: Any, readout: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    r"""Back-propagation through time of h_t = tanh(W_xh x_t + W_hh h_{t-1} + b), y_t = W_hy h_t + b_y.

    With delta_t = (W_hy' dy_t + W_hh' delta_{t+1}) (1 - h_t^2): dW_hh = sum delta_t h_{t-1}', dW_xh = sum delta_t x_t'.
    """
    weight_hh, weight_hy = cell.weight_hh.detach().numpy(), readout.weight.detach().numpy()
    d_ih, d_hh, d_b = np.zeros((5, 4)), np.zeros((5, 5)), np.zeros(5)
    d_hy, d_by = np.zeros_like(weight_hy), np.zeros(weight_hy.shape[0])
    for row in range(x.shape[0]):
        delta = np.zeros(5)
        for t in reversed(range(x.shape[1])):
            previous = h[row, t - 1] if t else np.zeros(5)
            delta = (weight_hy.T @ dy[row, t] + weight_hh.T @ delta) * (1 - h[row, t] ** 2)
            d_ih += np.outer(delta, x[row, t])
            d_hh += np.outer(delta, previous)
            d_b += delta
            d_hy += np.outer(dy[row, t], h[row, t])
            d_by += dy[row, t]
    return {"weight_ih": d_ih, "weight_hh": d_hh, "bias": d_b}, {"weight": d_hy, "bias": d_by}


@pytest.mark.parametrize("loss", ["squared error of a linear read-out", "cross-entropy of a softmax read-out"])
def test_elman_back_propagation_through_time_by_hand(loss, small, x) -> None:
    cell, readout = small(ElmanCell), torch.nn.Linear(5, 6, dtype=torch.float64)
    h, _ = unroll(cell, x, backend="eager")
    logits = readout(h)
    if loss.startswith("squared"):
        targets = torch.randn_like(logits)
        ((logits - targets) ** 2).sum().backward()
        dy = 2 * (logits - targets)
    else:
        classes = torch.randint(6, logits.shape[:2])
        F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="sum").backward()
        dy = logits.softmax(-1) - F.one_hot(classes, 6)  # the Jacobian of softmax and log cancel to p - 1
    ours, head = elman_backward(cell, x.numpy(), h.detach().numpy(), dy.detach().numpy(), readout)
    assert_gradients(cell, ours)
    assert_gradients(readout, head)


def test_lstm_back_propagation_through_time_by_hand(small, x) -> None:
    cell = small(LSTMCell)
    targets = torch.randn(3, 7, 5, dtype=torch.float64)
    (unroll(cell, x, backend="eager")[0] * targets).sum().backward()  # dL/dh_t = targets_t
    w_ih, w_hh, b = (p.detach().numpy() for p in (cell.weight_ih, cell.weight_hh, cell.bias))
    d_ih, d_hh, d_b = np.zeros_like(w_ih), np.zeros_like(w_hh), np.zeros_like(b)
    for row in range(3):
        h, c, tape = np.zeros(5), np.zeros(5), []
        for x_t in x[row].numpy():
            i, f, g, o = np.split(w_ih @ x_t + w_hh @ h + b, 4)
            i, f, g, o = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))
            new_c = f * c + i * g
            tape.append((x_t, h, c, i, f, g, o, new_c))
            h, c = o * np.tanh(new_c), new_c
        dh, dc = np.zeros(5), np.zeros(5)
        for t, (x_t, h, c, i, f, g, o, new_c) in reversed(list(enumerate(tape))):
            dh = dh + targets[row, t].numpy()
            dc = dc + dh * o * (1 - np.tanh(new_c) ** 2)
            d_i, d_f, d_g, d_o = dc * g, dc * c, dc * i, dh * np.tanh(new_c)
            delta = np.concatenate([d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)])
            d_ih += np.outer(delta, x_t)
            d_hh += np.outer(delta, h)
            d_b += delta
            dh, dc = w_hh.T @ delta, dc * f
    assert_gradients(cell, {"weight_ih": d_ih, "weight_hh": d_hh, "bias": d_b})
