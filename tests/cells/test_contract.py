"""The laws that every cell keeps."""

import copy
import io
import pickle

import pytest
import torch

from seqmodels.cells import ALL_CELLS, ElmanCell, IndRNNCell, JordanCell, LinearCell, LSTMCell, ProjectedLSTMCell

cells = pytest.mark.parametrize("cell_type", ALL_CELLS)


@cells
def test_step_keeps_the_shapes_of_the_state(cell_type, small, x) -> None:
    cell = small(cell_type)
    old = cell.initial_state(x[:, 0])
    y, new = cell.step(cell.project(x)[:, 0], old)
    assert y.shape == (3, cell.output_size)
    assert type(new) is type(old)
    assert [(leaf.shape, leaf.dtype) for leaf in new] == [(leaf.shape, leaf.dtype) for leaf in old]


@cells
def test_forward_is_project_then_step(cell_type, small, x) -> None:
    cell = small(cell_type)
    state = cell.forward(x[:, 0])[1]
    torch.testing.assert_close(cell(x[:, 1], state), cell.step(cell.project(x)[:, 1], state))


@cells
def test_rows_do_not_see_each_other(cell_type, small, x) -> None:
    cell = small(cell_type)
    torch.testing.assert_close(cell(x[1:2, 0])[0], cell(x[:, 0])[0][1:2])


@cells
def test_step_changes_nothing_in_place(cell_type, small, x) -> None:
    cell = small(cell_type)
    wx, state = cell.project(x[:, 0]), cell(x[:, 1])[1]
    before = copy.deepcopy((wx.detach(), [leaf.detach() for leaf in state]))
    cell.step(wx, state)
    torch.testing.assert_close((wx.detach(), [leaf.detach() for leaf in state]), before, rtol=0, atol=0)


@cells
def test_parameters_follow_the_convention(cell_type) -> None:
    cell = cell_type(4, 5)
    rows = 5 * len(cell.gates)
    assert cell.weight_ih.shape == (rows, 4)
    assert cell.bias.shape == (rows,)
    if isinstance(cell, LinearCell):
        assert not hasattr(cell, "weight_hh")
    elif not isinstance(cell, IndRNNCell):
        assert cell.weight_hh.shape == (rows, cell.output_size if isinstance(cell, ProjectedLSTMCell) else 5)
    assert len(set(cell.gates)) == len(cell.gates) > 0


@cells
def test_parameters_are_made_on_a_device_and_in_a_dtype(cell_type) -> None:
    cell = cell_type(4, 5, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in cell.parameters()} == {("meta", torch.float64)}
    cell.to_empty(device="cpu")
    torch.manual_seed(7)
    cell.reset_parameters()
    torch.manual_seed(7)
    torch.testing.assert_close(cell.state_dict(), cell_type(4, 5, dtype=torch.float64).state_dict(), rtol=0, atol=0)


@cells
def test_state_dict_round_trips(cell_type, small, x) -> None:
    cell, other = small(cell_type), small(cell_type)
    stream = io.BytesIO()
    torch.save(cell.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    torch.testing.assert_close(other(x[:, 0]), cell(x[:, 0]), rtol=0, atol=0)


@cells
def test_copies_and_pickles_are_equal_and_apart(cell_type, small, x) -> None:
    cell = small(cell_type)
    for twin in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        torch.testing.assert_close(twin(x[:, 0]), cell(x[:, 0]), rtol=0, atol=0)
        torch.nn.init.zeros_(twin.weight_ih)
        assert cell.weight_ih.any()


@cells
def test_rejects_wrong_sizes_by_name(cell_type, x) -> None:
    cell = cell_type(4, 5).double()
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 4\), got \(3, 6\)"):
        cell(torch.zeros(3, 6))
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 4\), got \(3, 7, 4\)"):
        cell(x)
    with pytest.raises(ValueError, match=r"each part of state must have shape \(3, \d\) for this x, got \(2, \d\)"):
        cell(x[:, 0], cell.initial_state(x[:2, 0]))
    with pytest.raises(TypeError, match=r"state must be a \w+State\(\w+(, \w+)*\), got Tensor"):
        cell(x[:, 0], x[:, 0])
    for sizes, name in (((0, 5), "input_size"), ((4, -1), "hidden_size"), ((4, 5.0), "hidden_size")):
        with pytest.raises(ValueError, match=f"{name} must be a positive whole number"):
            cell_type(*sizes)


@cells
def test_documentation_prints_the_equation(cell_type) -> None:
    assert ".. math::" in (cell_type.__doc__ or "")


def test_sizes_of_their_own_are_checked_by_name() -> None:
    with pytest.raises(ValueError, match="output_size must be a positive whole number, got 0"):
        JordanCell(4, 5, output_size=0)
    with pytest.raises(ValueError, match="proj_size must be a positive whole number, got 0"):
        ProjectedLSTMCell(4, 5, proj_size=0)


def test_a_misspelt_activation_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"activation must be one of tanh, .*, got 'sigmiod'; did you mean 'sigmoid'"):
        ElmanCell(4, 5, activation="sigmiod")
    with pytest.raises(ValueError, match="output_activation must be one of"):
        JordanCell(4, 5, output_activation="softmax")


def test_equal_seeds_draw_equal_parameters_within_the_bound_of_torch() -> None:
    torch.manual_seed(7)
    first = LSTMCell(4, 5).weight_hh
    torch.manual_seed(7)
    torch.testing.assert_close(LSTMCell(4, 5).weight_hh, first, rtol=0, atol=0)
    assert first.abs().max() <= 5**-0.5
