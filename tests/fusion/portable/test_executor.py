"""The portable executor where it does what only it does: several chunks of time, and tanh by way of the sigmoid."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels import cells
from seqmodels.backends.eager import Eager
from seqmodels.cells import Cell
from seqmodels.fusion import matmul
from seqmodels.fusion.executor import Arguments
from seqmodels.fusion.ops import Op
from seqmodels.fusion.plan import step_of
from seqmodels.fusion.portable import executor
from seqmodels.fusion.portable.executor import Portable, loop_of
from seqmodels.fusion.portable.loop_plan import LoopPlan
from seqmodels.fusion.program import Program
from tests.fusion.running import Through, assert_equals_eager


class ProductState(NamedTuple):
    h: Tensor  # (batch, hidden)


class ProductCell(Cell[ProductState]):
    """Carries a product that only ever meets the next input: y = tanh(Wx + h), h = V y."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.weight_ih = nn.Parameter(torch.randn(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)

    def initial_state(self, x: Tensor) -> ProductState:
        return ProductState(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih)

    def step(self, wx: Tensor, state: ProductState) -> tuple[Tensor, ProductState]:
        y = torch.tanh(wx + state.h)
        return y, ProductState(F.linear(y, self.weight_hh))


class ForgetfulCell(ProductCell):
    """Puts out what its input decides; its state fades."""

    def step(self, wx: Tensor, state: ProductState) -> tuple[Tensor, ProductState]:
        return wx, ProductState(state.h * 0.5)


class DelayState(NamedTuple):
    h: Tensor  # (batch, hidden), two steps ago
    next: Tensor  # (batch, hidden), one step ago


class DelayCell(ProductCell):
    """Sees its output of two steps ago: one field of the state is handed on as the other."""

    def initial_state(self, x: Tensor) -> Any:
        return DelayState(self.zeros(x), self.zeros(x))

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        y = torch.tanh(wx + F.linear(state.h, self.weight_hh))
        return y, DelayState(state.next, y)


BATCH, TIME, INPUT, HIDDEN = 40, 19, 3, 31
CELLS = (
    *(cells.LSTMCell, cells.GRUCell, cells.ElmanCell, cells.NoOutputGateLSTMCell, cells.JordanCell, cells.IndRNNCell),
    *(cells.ConcatLinearCell, ProductCell, ForgetfulCell, DelayCell),
)


@pytest.mark.parametrize("hidden", [1, HIDDEN])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("make", CELLS, ids=lambda kind: kind.__name__)
def test_large_rows_in_several_chunks_equal_eager(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[int, int], Cell[Any]], ragged: bool, hidden: int
) -> None:
    monkeypatch.setattr(executor, "CHUNK", 1)  # chunks of eight steps
    assert BATCH * HIDDEN >= executor.SMOOTH
    torch.manual_seed(0)
    lengths = torch.randint(1, TIME, (BATCH,)) if ragged else None
    cell, x = make(INPUT, hidden), torch.randn(BATCH, TIME, INPUT)
    assert_equals_eager(Portable(), cell, x, lengths=lengths)
    assert_equals_eager(Portable(), cell, x, lengths=lengths, resets=torch.rand(BATCH, TIME) < 0.1)


def test_chunks_are_for_caches_of_a_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    class Counted(executor._Run):
        def chunk(self, piece: slice, *others: Any) -> list[Tensor]:
            taken.append(piece.stop - piece.start)
            return super().chunk(piece, *others)

    monkeypatch.setattr(executor, "_Run", Counted)
    monkeypatch.setattr(executor, "CHUNK", 1)  # chunks of eight steps
    forward = step_of(ForgetfulCell(INPUT, 5), torch.randn(4, TIME, INPUT))[0].forward
    for device in ("cpu", "meta"):
        streams, carries = [torch.zeros(4, TIME, 5, device=device)], [torch.zeros(4, 5, device=device)]
        Portable().run(forward, Arguments(streams, carries, [], []))
    assert taken == [8, 8, TIME - 16, TIME]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_weights_in_onednns_own_layout_equal_eager(monkeypatch: pytest.MonkeyPatch, activation: str) -> None:
    monkeypatch.setattr(matmul, "PACK", 1)
    torch.manual_seed(0)
    cell = cells.ElmanCell(INPUT, HIDDEN, activation=activation)
    assert_equals_eager(Portable(), cell, torch.randn(BATCH, TIME, INPUT), lengths=torch.randint(1, TIME, (BATCH,)))
    for kind in (cells.GRUCell, cells.JordanCell, cells.ConcatLinearCell):
        assert_equals_eager(Portable(), kind(INPUT, HIDDEN), torch.randn(BATCH, TIME, INPUT))


def backward_of(cell: cells.Cell[Any], x: Tensor) -> Program:
    pair = step_of(cell, x)[0].pair
    assert pair is not None
    return pair.backward


def test_columns_that_are_read_twice_are_not_changed_in_place() -> None:
    """The output is a column of the state: both are tanhs of one product, which would be scaled in place."""

    class Column(cells.ElmanCell):
        @property
        def output_size(self) -> int:
            return 1

        def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
            h, after = super().step(wx, state)
            return h[:, 3:4], after

    torch.manual_seed(0)
    assert_equals_eager(Portable(), Column(INPUT, 30), torch.randn(61, TIME, INPUT))


def test_the_gradient_of_relu_is_one_operator_of_the_loop() -> None:
    cell, x = cells.ElmanCell(INPUT, 5, activation="relu"), torch.randn(4, TIME, INPUT)
    backward = backward_of(cell, x)
    assert Op.THRESHOLD in {value.op for value in LoopPlan(backward).late}


def test_a_product_that_is_wanted_is_written_into_its_row_with_what_is_added_to_it() -> None:
    x = torch.randn(4, TIME, INPUT)
    for cell, operators in ((cells.ConcatLinearCell(INPUT, 5), 1), (cells.JordanCell(INPUT, 5), 3)):
        loop = loop_of(step_of(cell, x)[0].forward, smooth=False, masked=False)
        step, _, _ = loop.text.partition("for k")[2].partition("n0 =")
        assert len(step.strip().splitlines()) == 1 + operators, loop.text


def test_a_carried_product_adds_the_row_of_the_next_step() -> None:
    x = torch.randn(4, TIME, INPUT)
    elman, product = cells.ElmanCell(INPUT, 5), ProductCell(INPUT, 5)
    backward = backward_of(elman, x)
    for program in (backward, step_of(product, x)[0].forward):
        plain, masked = (loop_of(program, smooth=False, masked=m).text for m in (False, True))
        step = plain.partition("for k")[2]
        assert "t_add(" not in step, plain
        assert "t_add(" in masked.partition("for k")[2], masked


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
