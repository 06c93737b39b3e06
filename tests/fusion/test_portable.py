"""The portable executor where it does what only it does: several chunks of time, and tanh by way of the sigmoid."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels import cells
from seqmodels.cells import Cell
from seqmodels.fusion import portable, products
from seqmodels.fusion.loop import Sorted
from seqmodels.fusion.loop_text import loop_of
from seqmodels.fusion.plan import plan_for
from seqmodels.fusion.portable import Portable
from seqmodels.fusion.trace import example
from seqmodels.unroll.eager import Eager
from tests.fusion.running import Through, assert_equals_eager

BATCH, TIME, INPUT, HIDDEN = 40, 19, 3, 31
CELLS = (
    *(cells.LSTMCell, cells.GRUCell, cells.ElmanCell, cells.NoOutputGateLSTMCell, cells.JordanCell, cells.IndRNNCell),
    cells.ConcatLinearCell,
)


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("make", CELLS, ids=lambda kind: kind.__name__)
def test_large_rows_in_several_chunks_equal_eager(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[int, int], Cell[Any]], ragged: bool
) -> None:
    monkeypatch.setattr(portable, "CHUNK", 1)  # chunks of eight steps
    assert BATCH * HIDDEN >= portable.SMOOTH
    torch.manual_seed(0)
    lengths = torch.randint(1, TIME, (BATCH,)) if ragged else None
    assert_equals_eager(Portable(), make(INPUT, HIDDEN), torch.randn(BATCH, TIME, INPUT), lengths=lengths)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_weights_in_onednns_own_layout_equal_eager(monkeypatch: pytest.MonkeyPatch, activation: str) -> None:
    monkeypatch.setattr(products, "PACK", 1)
    torch.manual_seed(0)
    cell = cells.ElmanCell(INPUT, HIDDEN, activation=activation)
    assert_equals_eager(Portable(), cell, torch.randn(BATCH, TIME, INPUT), lengths=torch.randint(1, TIME, (BATCH,)))
    for kind in (cells.GRUCell, cells.JordanCell, cells.ConcatLinearCell):
        assert_equals_eager(Portable(), kind(INPUT, HIDDEN), torch.randn(BATCH, TIME, INPUT))


def test_the_gradient_of_relu_is_one_operator_of_the_loop() -> None:
    cell, x = cells.ElmanCell(INPUT, 5, activation="relu"), torch.randn(4, TIME, INPUT)
    plan = plan_for(cell, *example(cell, x))
    backward = plan.pair((True,), (True,), ()).backward
    assert {value.op for value in Sorted(backward).late} >= {"threshold"}


def test_a_product_that_is_wanted_is_written_into_its_row_with_what_is_added_to_it() -> None:
    x = torch.randn(4, TIME, INPUT)
    for cell, operators in ((cells.ConcatLinearCell(INPUT, 5), 1), (cells.JordanCell(INPUT, 5), 3)):
        loop = loop_of(plan_for(cell, *example(cell, x)).inference, False)
        step, _, _ = loop.text.partition("for k")[2].partition("n0 =")
        assert len(step.strip().splitlines()) == 1 + operators, loop.text


def test_output_is_contiguous_and_may_be_changed_in_place() -> None:
    torch.manual_seed(0)
    cell, x = cells.LSTMCell(INPUT, 5), torch.randn(4, TIME, INPUT)

    def gradient(backend: Any) -> Tensor:
        cell.zero_grad()
        y, _ = backend(cell, x, cell.initial_state(x), None)
        assert y.is_contiguous()
        y.mul_(2).square().sum().backward()
        assert cell.weight_hh.grad is not None
        return cell.weight_hh.grad.clone()

    torch.testing.assert_close(gradient(Through(Portable())), gradient(Eager()))


@pytest.mark.parametrize("make", CELLS, ids=lambda kind: kind.__name__)
def test_final_state_has_memory_of_its_own(make: Callable[[int, int], Cell[Any]]) -> None:
    torch.manual_seed(0)
    cell, x = make(INPUT, 5).eval(), torch.randn(4, TIME, INPUT)
    with torch.no_grad():
        y, state = Through(Portable())(cell, x, cell.initial_state(x), None)
        last = y[:, -1].clone()
        for leaf in state:
            leaf.zero_()
    assert torch.equal(y[:, -1], last)
    assert last.abs().max() > 0
