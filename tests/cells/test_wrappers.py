"""What all wrappers share: they compose, trace, copy and step aside; learned initial states; building them."""

import copy
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from seqmodels.backends import unroll
from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ElmanCell,
    LearnedInitialState,
    LinearCell,
    LSTMCell,
    MinGRUCell,
    ProjectedLSTMCell,
    RecurrentDropout,
    RecurrentLayerNorm,
    WeightDrop,
    Wrapper,
    Zoneout,
    wrapped,
)
from seqmodels.sequence import at_step, leaves
from tests.cells.conftest import WRAPPERS, some_state
from tests.conftest import TOLERANCE

DOUBLE = TOLERANCE[torch.float64]
RECURRENT = [cell_type for cell_type in ALL_CELLS if not issubclass(cell_type, LinearCell)]


@pytest.mark.parametrize("name", ["recurrent_dropout", "weight_drop", "learned_initial_state"])
@pytest.mark.parametrize("cell_type", RECURRENT)
def test_wrappers_without_work_in_evaluation_are_the_cell(cell_type, name, small, x) -> None:
    inner = small(cell_type)
    cell = WRAPPERS[name](inner).eval()
    assert cell.effective() is inner
    torch.testing.assert_close(cell(x[:, 0]), inner(x[:, 0]), **DOUBLE)  # not through effective()
    torch.testing.assert_close(unroll(cell, x, backend="eager"), unroll(inner, x, backend="eager"), rtol=0, atol=0)


@pytest.mark.parametrize("wrapper", [RecurrentDropout, WeightDrop])
def test_dropping_nothing_is_the_cell(wrapper) -> None:
    inner = LSTMCell(4, 5)
    assert wrapper(inner, 0.0).effective() is inner


@pytest.mark.parametrize("cell_type", RECURRENT)
def test_wrappers_compose_in_any_order(cell_type, x) -> None:
    x = x.float()
    for order in itertools.permutations(WRAPPERS, 3):
        cell: Cell[Any] = cell_type(4, 5)
        plain = {name.rsplit(".")[-1] for name, _ in cell.named_parameters()}
        for name in order:
            cell = WRAPPERS[name](cell)
        y, final = unroll(cell, x[:, :3], backend="eager")
        assert y.shape == (3, 3, cell.output_size)
        (y.sum() + sum(leaf.sum() for leaf in final)).backward()
        for name, parameter in cell.named_parameters():
            assert parameter.grad is not None, (order, name)
        assert plain <= {name.rsplit(".")[-1] for name in cell.state_dict()}


@pytest.mark.parametrize("cell_type", [MinGRUCell])
def test_wrappers_that_need_no_product_fit_cells_without_one(cell_type, x) -> None:
    cell = LearnedInitialState(WeightDrop(Zoneout(cell_type(4, 5), {"h": 0.2}), 0.3, names=("weight_ih",)))
    assert unroll(cell, x.float(), backend="eager")[0].isfinite().all()


@pytest.mark.parametrize("cell_type", RECURRENT)
def test_a_wrapped_step_traces_to_the_same_values(cell_type, small, x) -> None:
    cell = RecurrentLayerNorm(RecurrentDropout(WeightDrop(WRAPPERS["zoneout"](small(cell_type)), 0.4), 0.4))
    wx, state = at_step(cell.project(x), 0), some_state(cell, x)
    parameters = dict(cell.named_parameters())

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, wx: Any, state: Any) -> Any:
            return self.cell.step(wx, state)

    def step(parameters: dict[str, Tensor], wx: Any, state: Any) -> Any:
        return torch.func.functional_call(Step(), {f"cell.{k}": v for k, v in parameters.items()}, (wx, state))

    traced = make_fx(step)(parameters, wx, state)
    other = some_state(cell, x)
    changed = {name: value.detach() * 1.1 for name, value in parameters.items()}
    torch.testing.assert_close(leaves(traced(changed, wx, other)), leaves(step(changed, wx, other)), **DOUBLE)


def test_wrapped_cells_copy_pickle_and_round_trip(small, x) -> None:
    cell = small(LSTMCell)
    for wrapper in WRAPPERS.values():
        cell = wrapper(cell)
    cell.eval()
    expected = unroll(cell, x, backend="eager")
    for twin in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        torch.testing.assert_close(unroll(twin, x, backend="eager"), expected, rtol=0, atol=0)
    torch.nn.init.zeros_(twin.core.weight_hh)
    twin.load_state_dict(cell.state_dict())
    torch.testing.assert_close(unroll(twin, x, backend="eager"), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapped_cells_can_be_made_without_memory(name) -> None:
    wrappers = {name: WRAPPERS[name]}
    cell = wrapped(4, factory=LSTMCell, wrappers=wrappers, hidden_size=5, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in cell.parameters()} == {("meta", torch.float64)}
    assert cell(torch.zeros(3, 4, device="meta", dtype=torch.float64))[0].shape == (3, 5)
    cell.to_empty(device="cpu")
    torch.manual_seed(7)
    cell.reset_parameters()
    torch.manual_seed(7)
    twin = wrapped(4, factory=LSTMCell, wrappers=wrappers, hidden_size=5, dtype=torch.float64)
    torch.testing.assert_close(cell.state_dict(), twin.state_dict(), rtol=0, atol=0)


def test_wrappers_delegate_sizes_and_gates() -> None:
    cell = ProjectedLSTMCell(4, 5, proj_size=2)
    for wrapper in WRAPPERS.values():
        outer = wrapper(cell)
        assert isinstance(outer, Wrapper)
        assert (outer.input_size, outer.hidden_size, outer.output_size, outer.gates) == (4, 5, 2, cell.gates)
        assert outer.core is cell


def test_wrapping_draws_no_random_numbers() -> None:
    cell: Cell[Any] = LSTMCell(4, 5)
    before = torch.get_rng_state()
    for wrapper in WRAPPERS.values():
        cell = wrapper(cell)
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_wrapped_builds_a_factory_into_wrappers_in_order() -> None:
    factories = {"first": WRAPPERS["zoneout"], "second": WRAPPERS["recurrent_dropout"]}
    cell = wrapped(4, factory=LSTMCell, wrappers=factories, hidden_size=5)
    assert isinstance(cell, RecurrentDropout)
    assert isinstance(cell.cell, Zoneout)
    plain = wrapped(4, factory=lambda size: ElmanCell(size, 6), wrappers={})
    assert isinstance(plain, ElmanCell)
    assert (plain.input_size, plain.hidden_size) == (4, 6)


def test_bad_options_are_refused_by_name() -> None:
    cell = LSTMCell(4, 5)
    for wrapper in (RecurrentDropout, WeightDrop):
        for p in (-0.1, 1.0, float("nan")):
            with pytest.raises(ValueError, match=r"p must lie in \[0, 1\), got"):
                wrapper(cell, p)
    with pytest.raises(ValueError, match=r"rates must name fields of the state \(h, c\), got 'z'"):
        Zoneout(cell, {"z": 0.1})
    with pytest.raises(ValueError, match=r"rates\['c'\] must lie in \[0, 1\], got 1.5"):
        Zoneout(cell, {"c": 1.5})
    with pytest.raises(ValueError, match=r"names must be parameters of LSTMCell .* got weight_zz"):
        WeightDrop(cell, 0.1, names=("weight_zz",))
    with pytest.raises(ValueError, match=r"names must be parameters of LSTMCell .* got none"):
        WeightDrop(cell, 0.1, names=())
    with pytest.raises(TypeError, match="cell must be a Cell, got Linear"):
        LearnedInitialState(nn.Linear(2, 3))  # type: ignore[arg-type]


def test_learned_initial_state_starts_at_zero_is_shared_and_learns(small, x) -> None:
    inner = small(LSTMCell)
    cell = LearnedInitialState(inner)
    assert cell.effective() is inner
    torch.testing.assert_close(unroll(cell, x, backend="eager"), unroll(inner, x, backend="eager"))
    nn.init.uniform_(cell.initial["h"])
    state = cell.initial_state(x.float())
    assert state.h.dtype == torch.float32
    torch.testing.assert_close(state.h, cell.initial["h"].float().expand(3, 5))
    unroll(cell, x, backend="eager")[0].sum().backward()
    assert all(row.grad is not None and row.grad.any() for row in cell.initial.values())
    assert {name for name in cell.state_dict() if "cell." not in name} == {"initial.h", "initial.c"}
