"""The gradients of weights: sums over all rows of all steps, and whom they go to."""

from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.backends.eager import Eager
from seqmodels.cells import ALL_CELLS, Cell, ElmanCell, GRUCell, LSTMCell, RecurrentDropout
from seqmodels.fusion import input_projection
from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.layout import placeholder
from tests.backends.fakes import with_random_parameters
from tests.conftest import TOLERANCE
from tests.fusion.running import EXECUTORS, Through, assert_equals_eager, needs_compiler

BATCH, TIME, INPUT, HIDDEN = 7, 41, 3, 19  # more rows than the compiled sum takes at a time, and no multiple of them
LENGTHS = torch.tensor([41, 1, 30, 17, 41, 40, 2])


def streams(batch: int, time: int, widths: list[int], time_first: bool, dtype: torch.dtype) -> list[Tensor]:
    """Return streams that are cut out of one memory, as kept ones are."""
    edges = [0, *torch.tensor(widths).cumsum(0).tolist()]
    whole = torch.randn((time, batch, edges[-1]) if time_first else (batch, time, edges[-1]), dtype=dtype)
    whole = whole.transpose(0, 1) if time_first else whole
    return [whole[..., start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("layouts", ["bb", "bt", "tb", "tt"])
@pytest.mark.parametrize(
    ("widths", "columns"), [([6], 64), ([1], 5), ([19, 3, 1], 70), ([128, 2], 300), ([4, 40], 129)]
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_sum_over_all_rows_is_the_product(
    executor: Executor, widths: list[int], columns: int, layouts: str, dtype: torch.dtype
) -> None:
    operands = streams(BATCH, TIME, widths, layouts[0] == "t", dtype)
    cotangent = streams(BATCH, TIME, [columns], layouts[1] == "t", dtype)[0]
    one = torch.ones(BATCH, TIME, 1, dtype=dtype)
    exact = torch.einsum("btm,btn->mn", torch.cat([*operands, one], -1).double(), cotangent.double())
    close = {"rtol": 0, "atol": TOLERANCE[dtype]["atol"] * 30}
    torch.testing.assert_close(executor.outer(operands, cotangent).double(), exact[:-1], **close)
    torch.testing.assert_close(executor.outer(operands, cotangent, ones=True).double(), exact, **close)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize(("batch", "time"), [(1, 700), (700, 1), (3, 200)])
def test_a_sum_over_all_rows_is_the_same_whoever_computes_it(batch: int, time: int, threads: int) -> None:
    executor = Cpp()
    operands, (cotangent,) = (
        streams(batch, time, [13, 1, 20], True, torch.float64),
        [torch.randn(batch, time, 200).double()],
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        made = executor.outer(operands, cotangent[..., 3:180], ones=True)
    finally:
        torch.set_num_threads(before)
    whole = torch.cat([*operands, torch.ones(batch, time, 1, dtype=torch.float64)], -1)
    torch.testing.assert_close(made, torch.einsum("btm,btn->mn", whole, cotangent[..., 3:180]))


@pytest.mark.parametrize("make", ALL_CELLS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_cell_equals_eager_where_its_input_product_is_large(
    executor: Executor, make: type[Cell[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_projection, "LARGE", 0)
    cell = with_random_parameters(make(INPUT, HIDDEN))
    assert_equals_eager(executor, cell, torch.randn(BATCH, 6, INPUT, dtype=torch.float64), lengths=LENGTHS.clamp(max=6))


@pytest.mark.parametrize("frozen", ["x", "weight_ih", "bias", "weight_hh"])
@pytest.mark.parametrize("make", [LSTMCell, GRUCell])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_only_what_wants_a_gradient_gets_one(
    executor: Executor, make: type[Cell[Any]], frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_projection, "LARGE", 0)
    cell = RecurrentDropout(with_random_parameters(make(INPUT, HIDDEN)), 0.0)
    x = torch.randn(BATCH, 5, INPUT, dtype=torch.float64, requires_grad=frozen != "x")
    for name, parameter in cell.core.named_parameters():
        parameter.requires_grad_(name != frozen)
    found = []
    for backend in (Through(executor), Eager()):
        cell.zero_grad()
        x.grad = None
        backend(cell, x, cell.initial_state(x), None)[0].sin().sum().backward()
        found.append({"x": x.grad, **{name: p.grad for name, p in cell.core.named_parameters()}})
    mine, eager = found
    assert mine[frozen] is None
    assert {name for name, gradient in mine.items() if gradient is None} == {frozen}
    for name in set(mine) - {frozen}:
        torch.testing.assert_close(mine[name], eager[name])


class Watched(ElmanCell):
    """Keeps what its input product's gradient is."""

    def project(self, x: Tensor) -> Tensor:
        wx = super().project(x)
        if wx.requires_grad:
            wx.register_hook(lambda gradient: self.seen.append(gradient.clone()))
        return wx

    def __init__(self) -> None:
        super().__init__(INPUT, HIDDEN)
        self.seen: list[Tensor] = []


class Doubled(ElmanCell):
    """Does something with its input product besides returning it."""

    penalty: Tensor

    def project(self, x: Tensor) -> Tensor:
        wx = F.linear(x, self.weight_ih, self.bias)
        self.penalty = wx.square().mean()
        return wx


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_hook_on_the_input_product_is_called(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_projection, "LARGE", 0)
    cell, x = Watched(), torch.randn(BATCH, 5, INPUT)
    for backend in (Eager(), Through(executor)):
        backend(cell, x, cell.initial_state(x), None)[0].sum().backward()
    eager, fused = cell.seen
    torch.testing.assert_close(fused, eager, **TOLERANCE[torch.float32])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_another_use_of_the_input_product_adds_its_gradient(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_projection, "LARGE", 0)
    cell, x = Doubled(INPUT, HIDDEN), torch.randn(BATCH, 5, INPUT, dtype=torch.float64)
    with_random_parameters(cell)
    found = []
    for backend in (Eager(), Through(executor)):
        y = backend(cell, x, cell.initial_state(x), None)[0]
        found.append(torch.autograd.grad(y.sum() + 3 * cell.penalty, list(cell.parameters())))
    for fused, eager in zip(*found[::-1], strict=True):
        torch.testing.assert_close(fused, eager)


def bytes_kept(executor: Executor, cell: Cell[Any], x: Tensor) -> int:
    """Return how much memory a training step keeps between its forward and its backward pass."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        Through(executor)(cell, x, cell.initial_state(x), None)
    return sum(kept.values())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_projected_input_is_not_kept_where_the_backward_pass_does_not_read_it(executor: Executor) -> None:
    cell, x = LSTMCell(64, 64), torch.randn(32, 128, 64, requires_grad=True)
    value = x.numel() * x.element_size()  # of all steps
    assert (
        bytes_kept(executor, cell, x) < 9.5 * value
    )  # x and seven values of the step; with the projected input it would be 12


@pytest.mark.parametrize("time_first", [False, True], ids=["batch first", "time first"])
def test_a_stream_that_nobody_reads_takes_no_memory(time_first: bool) -> None:
    stream = torch.empty(5, 300, 70).transpose(0, 1) if time_first else torch.empty(300, 5, 70)
    made = placeholder(stream)
    assert made.shape == stream.shape
    assert made.untyped_storage().nbytes() < 2000
    assert (made.stride(0) < made.stride(1), made.stride(2)) == (time_first, 1)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_carry_before_and_after_each_step_is_kept_once(executor: Executor) -> None:
    cell, x = ElmanCell(8, 64), torch.randn(16, 50, 8, requires_grad=True)
    assert bytes_kept(executor, cell, x) < 1.5 * 16 * 50 * 64 * 4


class Past(NamedTuple):
    h: Tensor
    before: Tensor


class Delayed(Cell[Past]):
    """A state whose second part is the first one a step ago: a carry becomes another carry."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size, self.hidden_size = INPUT, HIDDEN
        self.weight_ih = nn.Parameter(torch.randn(HIDDEN, INPUT))
        self.weight_hh = nn.Parameter(torch.randn(HIDDEN, 2 * HIDDEN) / 5)

    def initial_state(self, x: Tensor) -> Past:
        return Past(self.zeros(x), self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih)

    def step(self, wx: Tensor, state: Past) -> tuple[Tensor, Past]:
        h, before = state
        new = (wx + F.linear(torch.cat([h, before], -1), self.weight_hh)).tanh()
        return new, Past(new, h)


@pytest.mark.parametrize("large", [0, 1 << 20], ids=["large", "small"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_carry_that_becomes_another_one_equals_eager(
    executor: Executor, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_projection, "LARGE", large)
    x = torch.randn(BATCH, 6, INPUT, dtype=torch.float64)
    assert_equals_eager(executor, with_random_parameters(Delayed()), x, lengths=LENGTHS.clamp(max=6))
