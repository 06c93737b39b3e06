"""Gradient flow through time agrees with autograd for every cell, and its verdicts with what is known."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seqmodels.nn
from seqmodels.cells import Cell, ElmanCell, GRUCell, LSTMCell, Zoneout, init
from seqmodels.inspection import (
    LayerFlow,
    gradient_flow,
    gradient_norms,
    half_life,
    jacobian_norms,
    lyapunov_exponent,
    memory_curve,
    recorded,
    trajectory,
)
from seqmodels.inspection.trajectories import flattened, unflattened
from seqmodels.layers import Recurrent, recurrent_stack
from seqmodels.sequence import leaves
from tests.inspection.cells import BATCH, CELLS, HIDDEN, INPUT, LENGTHS, TIME, drawn


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> Cell[Any]:
    return drawn(request.param)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def steps_of(cell: Cell[Any], x: Tensor, state: Any) -> tuple[list[Tensor], list[Any]]:
    """Return outputs and states of a sequence without padding, by the public methods of a cell in evaluation mode."""
    outputs, states = [], []
    for t in range(x.shape[1]):
        y, state = cell(x[:, t], state)
        outputs.append(y)
        states.append(state)
    return outputs, states


def padded(x: Tensor) -> Tensor:
    return torch.stack(
        [torch.where(torch.arange(TIME)[:, None] < n, row, 99.0) for n, row in zip(LENGTHS, x, strict=True)]
    )


def test_gradients_of_states_are_those_of_autograd(cell: Cell[Any], x: Tensor) -> None:
    weights = torch.randn(BATCH, TIME, cell.output_size, dtype=torch.float64)
    (norms,) = gradient_norms(cell, padded(x), torch.tensor(LENGTHS), loss=lambda y: (y * weights).sum()).values()
    cell.eval()
    for row, length in enumerate(LENGTHS):
        given = x[row : row + 1, :length]
        outputs, states = steps_of(cell, given.requires_grad_(), cell.initial_state(given[:, 0]))
        tensors = [[leaf for leaf in leaves(state) if leaf.is_floating_point()] for state in states]
        loss = sum((y * weights[row, t]).sum() for t, y in enumerate(outputs))
        for place, name in enumerate(norms):
            each = [step[place] for step in tensors]
            expected = [torch.zeros(()) if g is None else g.norm() for g in _gradients(loss, each)]
            np.testing.assert_allclose(
                norms[name][row, :length], torch.stack(expected).flatten(), rtol=1e-9, atol=1e-12
            )
            assert np.isnan(norms[name][row, length:]).all()


def _gradients(loss: Any, tensors: list[Tensor]) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(loss, tensors, allow_unused=True, retain_graph=True)


@pytest.mark.parametrize("exact", [True, False])
def test_norms_of_jacobians_and_memory_are_those_of_exact_jacobians(exact: bool, cell: Cell[Any], x: Tensor) -> None:
    found = trajectory(cell, padded(x), torch.tensor(LENGTHS), dtype=torch.float64)
    norms = jacobian_norms(found, steps_back=range(1, TIME + 1), exact=exact)
    direction = torch.randn(BATCH, TIME, cell.output_size, dtype=torch.float64)
    curve = memory_curve(found, direction)
    cell.eval()
    for row, length in enumerate(LENGTHS):
        given = x[row : row + 1, :length]
        states = [cell.initial_state(given[:, 0]), *steps_of(cell, given, cell.initial_state(given[:, 0]))[1]]
        memory = []
        for back in range(1, length + 1):
            before = states[length - back]

            def last(
                flat: Tensor, back: int = back, before: Any = before, given: Tensor = given
            ) -> tuple[Tensor, Tensor]:
                outputs, after = steps_of(cell, given[:, -back:], unflattened(flat, before))
                return flattened(after[-1])[0], outputs[-1][0]

            state, output = torch.autograd.functional.jacobian(last, flattened(before).detach())
            exact_norm = torch.linalg.matrix_norm(state[:, 0], 2)
            within = pytest.approx(float(exact_norm), rel=1e-6 if exact else 0.01, abs=1e-12)
            assert 10 ** norms.log10[row, back - 1] == within
            memory.append(float((direction[row, length - 1] @ output[:, 0]).norm()))
        if memory[0] > 0:
            np.testing.assert_allclose(10 ** curve[row, :length], np.array(memory) / memory[0], rtol=1e-6, atol=1e-12)
        assert np.isnan(norms.log10[row, length:]).all()
        assert np.isnan(curve[row, length:]).all()


def elman(radius: float, activation: str = "identity") -> ElmanCell:
    """Return a cell whose recurrent matrix is a rotation times ``radius``: all its eigenvalues have this modulus."""
    cell = ElmanCell(INPUT, HIDDEN, activation=activation)
    with torch.no_grad():
        cell.bias.zero_()
        cell.weight_hh.copy_(radius * torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0])
    return cell


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.2])
def test_the_exponent_of_a_linear_network_is_the_logarithm_of_its_spectral_radius(radius: float) -> None:
    found = trajectory(elman(radius), torch.randn(2, 40, INPUT), torch.tensor([40, 23]), dtype=torch.float64)
    np.testing.assert_allclose(lyapunov_exponent(found), np.log(radius), atol=1e-6)


def scaled_inputs(scale: float, time: int = 200) -> Tensor:
    return scale * torch.randn(2, time, INPUT)


def lstm(forget_bias: float) -> LSTMCell:
    return init.forget_bias(LSTMCell(INPUT, 16), forget_bias)


@pytest.mark.parametrize(
    ("cell", "x", "verdict"),
    [
        (partial(ElmanCell, INPUT, 16), scaled_inputs(1.0), "vanishing"),
        (partial(elman, 1.05), scaled_inputs(1.0), "exploding"),  # linear: at every input
        (partial(elman, 1.05, "tanh"), scaled_inputs(1e-9), "exploding"),  # near 0, where tanh is linear
        (partial(elman, 1.1, "tanh"), scaled_inputs(3.0), "vanishing"),  # saturated
        (partial(elman, 1.0), scaled_inputs(1.0), "healthy"),
        (partial(lstm, 0.0), scaled_inputs(1.0), "vanishing"),
        (partial(lstm, 1.0), scaled_inputs(1.0), "vanishing"),  # sigmoid(1) ** 200 is 1e-27
        (partial(lstm, 5.0), scaled_inputs(1.0), "healthy"),
    ],
)
def test_verdicts_agree_with_known_cases(cell: Any, x: Tensor, verdict: str) -> None:
    (flow,) = gradient_flow(cell(), x)
    assert flow.verdict() == verdict
    assert f"{verdict}. Over 200 steps" in flow.sentence()


def test_the_threshold_decides_the_verdict() -> None:
    (flow,) = gradient_flow(elman(1.1), scaled_inputs(1.0, time=30))  # 1.1 ** 30 is 17
    assert (flow.verdict(), flow.verdict(10)) == ("healthy", "exploding")
    assert "exploding above 1e+01" in flow.sentence(10)


def test_a_linear_network_halves_its_gradient_as_its_radius_says() -> None:
    found = trajectory(elman(0.8), torch.randn(2, 9, INPUT), torch.tensor([9, 5]), dtype=torch.float64)
    np.testing.assert_allclose(half_life(memory_curve(found)), np.log(2) / -np.log(0.8), rtol=1e-5)


def test_the_network_and_the_random_state_are_left_as_they_were() -> None:
    cell = Zoneout(LSTMCell(INPUT, HIDDEN), {"h": 0.5})
    layer, random = Recurrent(cell), torch.get_rng_state()
    cell.cell.eval()
    before = [parameter.clone() for parameter in layer.parameters()]
    gradient_flow(layer, scaled_inputs(1.0, time=5).double().float())
    torch.manual_seed(0)
    random = torch.get_rng_state()
    gradient_flow(layer, torch.ones(2, 5, INPUT))
    assert torch.equal(torch.get_rng_state(), random)
    assert [layer.training, cell.training, cell.cell.training] == [True, True, False]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in layer.parameters())
    assert all(torch.equal(*pair) for pair in zip(layer.parameters(), before, strict=True))


@pytest.mark.parametrize("make", [partial(GRUCell, 4, 9), partial(LSTMCell, 4, 9)])
def test_recording_changes_no_number(make: Any) -> None:
    layer, x = Recurrent(make()), torch.randn(40, 60, 4)  # large enough to be fused

    def run() -> list[Tensor]:
        layer.zero_grad()
        y, state = layer(x)
        (y.square().sum() + state[0].sum()).backward()
        return [y, *state, *(parameter.grad for parameter in layer.parameters())]

    plain = run()
    with recorded(layer) as recordings:
        watched = run()
    assert all(torch.equal(*pair) for pair in zip(plain, watched, strict=True))
    torch.testing.assert_close(recordings[0].output_gradient, 2 * plain[0])
    final = recordings[0].final_gradient()
    assert final is not None
    assert torch.equal(final[:, :9], torch.ones(40, 9))


class Doubled(nn.Module):
    """A network around layers of several kinds that returns something else than a layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.lower = seqmodels.nn.LSTM(INPUT, 4, bidirectional=True, batch_first=True)
        self.upper = recurrent_stack(GRUCell, 8, hidden_sizes=[3, 5])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.upper(self.lower(x)[0], None, lengths)[0].sum((1, 2))


def test_every_cell_of_a_network_is_followed_in_both_directions() -> None:
    flows = gradient_flow(Doubled(), torch.randn(3, 9, INPUT), torch.tensor([9, 2, 7]))
    assert [(each.name, each.reverse) for each in flows] == [
        ("LSTMCell[0]", False),
        ("LSTMCell[1]", True),
        ("upper.layers.0.cell", False),
        ("upper.layers.1.cell", False),
    ]
    assert [tuple(each.gradients) for each in flows] == [("h", "c"), ("h", "c"), ("h",), ("h",)]
    assert flows[0].lengths.tolist() == [9, 9, 9]
    assert flows[2].lengths.tolist() == [9, 2, 7]


def test_a_layer_that_reads_backwards_ends_at_the_first_step() -> None:
    x = torch.randn(1, 6, INPUT)
    forwards = Recurrent(LSTMCell(INPUT, HIDDEN))
    backwards = Recurrent(forwards.cell, reverse=True)
    (one,) = gradient_flow(forwards, x, loss=lambda y: y[:, -1].sum())
    (other,) = gradient_flow(backwards, x.flip(1), loss=lambda y: y[:, 0].sum())
    for a, b in zip(_numbers(one), _numbers(other), strict=True):
        np.testing.assert_allclose(a, b)
    assert "reaches one step" in gradient_flow(backwards, x)[0].sentence()


def _numbers(flow: LayerFlow) -> list[Any]:
    return [*flow.gradients.values(), flow.jacobians.log10, flow.memory, flow.exponents]


@pytest.mark.parametrize(
    ("module", "message"), [(nn.GRU(INPUT, 3), "no seqmodels cell ran inside"), (nn.Linear(INPUT, 3), "no seqmodels")]
)
def test_a_module_without_cells_is_refused(module: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradient_flow(module, torch.randn(2, 5, INPUT))
    with pytest.raises(ValueError, match="over more than one step"):
        gradient_flow(Recurrent(GRUCell(INPUT, 3)), torch.randn(2, 1, INPUT))
