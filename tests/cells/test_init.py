"""Initialisers reach every cell of a module and set what they say."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    CoupledLSTMCell,
    ElmanCell,
    GRUCell,
    IndRNNCell,
    LSTMCell,
    MGUCell,
    MinGRUCell,
    RecurrentLayerNorm,
    ResetAfterGRUCell,
    Zoneout,
)
from seqmodels.cells.init import chrono, forget_bias, identity_recurrent, uniform, xavier_orthogonal


def gate(cell: Cell[Any], name: str) -> torch.Tensor:
    assert isinstance(cell.bias, torch.Tensor)
    return cell.bias.detach().chunk(len(cell.gates))[cell.gates.index(name)]


@pytest.fixture
def layers() -> nn.ModuleDict:
    """Layers and directions, bare and wrapped."""
    return nn.ModuleDict(
        {
            "ahead": LSTMCell(4, 5),
            "back": Zoneout(RecurrentLayerNorm(LSTMCell(4, 5)), {"c": 0.1}),
            "upper": nn.Sequential(GRUCell(10, 3)),
        }
    )


def lstms(layers: nn.ModuleDict) -> list[LSTMCell]:
    return [part for part in layers.modules() if isinstance(part, LSTMCell)]


def test_initialisers_return_the_module_and_need_a_cell(layers) -> None:
    for initialise in (uniform, xavier_orthogonal, forget_bias, lambda module: chrono(module, 9)):
        assert initialise(layers) is layers
        with pytest.raises(ValueError, match="module must hold a recurrent cell, got Linear"):
            initialise(nn.Linear(2, 3))


def test_forget_bias_reaches_every_layer_and_direction_and_nothing_else(layers) -> None:
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    forget_bias(layers, 1.5)
    assert len(lstms(layers)) == 2
    for cell in lstms(layers):
        assert (gate(cell, "f") == 1.5).all()
    changed = {name: int((value != before[name]).sum()) for name, value in layers.state_dict().items()}
    assert {name: count for name, count in changed.items() if count} == {"ahead.bias": 5, "back.cell.cell.bias": 5}


def test_a_greater_forget_bias_remembers_more_in_every_cell_with_the_gate() -> None:
    for cell_type in (cell_type for cell_type in ALL_CELLS if "f" in cell_type.gates):
        kept = []
        for value in (-4.0, 4.0):
            torch.manual_seed(0)
            cell = forget_bias(cell_type(4, 5), value)
            x = torch.zeros(3, 4)
            old = type(cell.initial_state(x))(*(torch.full_like(leaf, 0.5) for leaf in cell.initial_state(x)))
            kept.append((cell(x, old)[1][-1] - old[-1]).abs().mean())
        assert kept[1] < kept[0], cell_type


def test_a_module_without_the_wanted_gate_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="forget_bias needs a cell with a gate 'f', got ElmanCell, GRUCell"):
        forget_bias(nn.Sequential(GRUCell(2, 3), ElmanCell(2, 3)))
    with pytest.raises(ValueError, match=r"chrono needs .* got ElmanCell"):
        chrono(ElmanCell(2, 3), 10)
    with pytest.raises(ValueError, match=r"identity_recurrent needs .* got LSTMCell, MinGRUCell"):
        identity_recurrent(nn.Sequential(LSTMCell(2, 3), MinGRUCell(2, 3)))
    with pytest.raises(ValueError, match="max_time must be at least 2 steps, got 1"):
        chrono(LSTMCell(2, 3), 1)


def test_chrono_spreads_memories_up_to_the_longest_time() -> None:
    cell = chrono(LSTMCell(4, 4001), 50)
    forget = gate(cell, "f")
    torch.testing.assert_close(gate(cell, "i"), -forget, rtol=0, atol=0)
    assert forget.min() >= 0
    assert forget.max() <= math.log(49)
    assert 24 < forget.exp().mean() < 26  # the mean of U(1, 49)


def test_chrono_knows_what_opening_a_gate_does() -> None:
    assert (gate(chrono(GRUCell(4, 5), 50), "z") <= 0).all()
    assert (gate(chrono(MinGRUCell(4, 5), 50), "z") <= 0).all()
    assert (gate(chrono(MGUCell(4, 5), 50), "f") <= 0).all()
    assert (gate(chrono(ResetAfterGRUCell(4, 5), 50), "z") >= 0).all()
    assert (gate(chrono(CoupledLSTMCell(4, 5), 50), "f") >= 0).all()


def test_xavier_orthogonal_is_what_keras_does() -> None:
    cell = xavier_orthogonal(LSTMCell(41, 31))
    torch.testing.assert_close(cell.weight_hh.T @ cell.weight_hh, torch.eye(31), rtol=1e-4, atol=1e-5)
    bound = math.sqrt(6 / (41 + 4 * 31))  # Keras: fan in is the input, fan out all gates together
    assert 0.99 * bound < cell.weight_ih.abs().max() <= bound
    assert (gate(cell, "f") == 1).all()
    assert not any(gate(cell, name).any() for name in "igo")


@pytest.mark.parametrize("cell_type", ALL_CELLS)
def test_xavier_orthogonal_and_uniform_leave_every_cell_usable(cell_type) -> None:
    for initialise in (xavier_orthogonal, uniform):
        y, _ = initialise(cell_type(4, 5))(torch.randn(3, 4))
        assert y.isfinite().all()


def test_uniform_restores_what_was_overwritten_within_the_bound_of_torch(layers) -> None:
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.fill_(9)
    uniform(layers)
    for cell in lstms(layers):
        for parameter in cell.parameters():
            assert parameter.abs().max() <= 5**-0.5
            assert parameter.unique().numel() > 1


def test_identity_recurrent_makes_an_elman_cell_an_irnn() -> None:
    cell = identity_recurrent(ElmanCell(4, 5, activation="relu"), 0.5)
    torch.testing.assert_close(cell.weight_hh.detach(), 0.5 * torch.eye(5), rtol=0, atol=0)
    assert not cell.bias.any()
    assert (identity_recurrent(IndRNNCell(4, 5)).weight_hh == 1).all()
    gated = GRUCell(5, 3)
    before = gated.weight_hh.detach().clone()
    identity_recurrent(nn.Sequential(ElmanCell(4, 5), gated))
    torch.testing.assert_close(gated.weight_hh.detach(), before, rtol=0, atol=0)
