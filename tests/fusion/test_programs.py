"""Programs traced from every cell and wrapper, through both executors, against ``eager``: values and all gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ElmanCell,
    ForgetInputOutputCell,
    GRUCell,
    JordanCell,
    LayerNormGRUCell,
    LearnedInitialState,
    LSTMCell,
    MGUCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RecurrentDropout,
    RecurrentLayerNorm,
    ResetAfterGRUCell,
    WeightDrop,
    Zoneout,
)
from seqmodels.fusion.cpp.executor import Cpp
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.portable.executor import Portable
from tests.backends.fakes import random_state, with_random_parameters
from tests.fusion.running import EXECUTORS, Through, assert_equals_eager, needs_compiler

BATCH, TIME, INPUT, HIDDEN = 9, 5, 4, 19  # more rows than a tile has, and no whole number of vectors
LENGTHS = torch.tensor([3, 5, 1, 5, 2, 4, 1, 3, 2])
RESETS = torch.tensor([[(row * t + t // 2) % 3 == 1 for t in range(TIME)] for row in range(BATCH)])


def normalised(cell: Cell[Any]) -> Cell[Any]:
    return RecurrentLayerNorm(cell)


def dropped(cell: Cell[Any]) -> Cell[Any]:
    return RecurrentDropout(cell, 0.3)


def weight_dropped(cell: Cell[Any]) -> Cell[Any]:
    return WeightDrop(cell, 0.3)


def zoned(cell: Cell[Any]) -> Cell[Any]:
    fields = cell.initial_state(torch.zeros(1, INPUT))._fields
    return Zoneout(cell, dict(zip(fields, (0.3, 0.6), strict=False)))


def nested(cell: Cell[Any]) -> Cell[Any]:
    return LearnedInitialState(zoned(dropped(weight_dropped(cell))))


WRAPPERS = [normalised, dropped, weight_dropped, zoned, nested]
WITH_PRODUCTS = (ElmanCell, GRUCell, ResetAfterGRUCell, LSTMCell, MGUCell, PeepholeLSTMCell, ForgetInputOutputCell)
"""Cells with a ``weight_hh``, of every build: one product a step, two, a product of a gated state."""


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("given", [False, True], ids=["initial", "given"])
@pytest.mark.parametrize("make", ALL_CELLS)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_cell_equals_eager(executor: Executor, make: type[Cell[Any]], given: bool, ragged: bool) -> None:
    cell = with_random_parameters(make(INPUT, HIDDEN))
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    state = random_state(cell, x) if given else None
    lengths = LENGTHS if ragged else None
    assert_equals_eager(executor, cell, x, state, lengths)
    assert_equals_eager(executor, cell, x, state, lengths, resets=RESETS)


@pytest.mark.parametrize("make", [ElmanCell, LSTMCell, GRUCell, LayerNormGRUCell, ProjectedLSTMCell])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_cells_equal_eager_in_single_precision(executor: Executor, make: type[Cell[Any]]) -> None:
    cell = with_random_parameters(make(INPUT, 37), torch.float32)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(0.3)  # 37 terms a sum, where small networks have few
    x = torch.randn(BATCH, TIME, INPUT)
    assert_equals_eager(executor, cell, x, random_state(cell, x), LENGTHS)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "identity"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_activation_equals_eager(executor: Executor, activation: str) -> None:
    cell = with_random_parameters(ElmanCell(INPUT, HIDDEN, activation=activation))
    assert_equals_eager(executor, cell, torch.randn(BATCH, TIME, INPUT, dtype=torch.float64))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_output_narrower_than_the_state_equals_eager(executor: Executor) -> None:
    cell = with_random_parameters(JordanCell(INPUT, HIDDEN, output_size=3))
    assert_equals_eager(executor, cell, torch.randn(BATCH, TIME, INPUT, dtype=torch.float64), lengths=LENGTHS)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("make", WITH_PRODUCTS)
def test_every_wrapper_equals_eager(
    make: type[Cell[Any]], wrap: Callable[[Cell[Any]], Cell[Any]], training: bool
) -> None:
    cell = with_random_parameters(wrap(make(INPUT, HIDDEN))).train(training)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    assert_equals_eager(Portable(), cell, x, lengths=LENGTHS)
    assert_equals_eager(Portable(), cell, x, lengths=LENGTHS, resets=RESETS)


@needs_compiler
@pytest.mark.parametrize(
    ("make", "wrap", "training"),
    [
        (LSTMCell, dropped, True),
        (GRUCell, dropped, True),
        (LSTMCell, zoned, True),
        (PeepholeLSTMCell, zoned, False),
        (GRUCell, normalised, True),
        (ElmanCell, weight_dropped, True),
        (GRUCell, nested, True),
    ],
)
def test_wrappers_equal_eager_in_compiled_code(
    make: type[Cell[Any]], wrap: Callable[[Cell[Any]], Cell[Any]], training: bool
) -> None:
    cell = with_random_parameters(wrap(make(INPUT, HIDDEN))).train(training)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    assert_equals_eager(Cpp(), cell, x, lengths=LENGTHS)
    assert_equals_eager(Cpp(), cell, x, lengths=LENGTHS, resets=RESETS)


@pytest.mark.parametrize("make", [ResetAfterGRUCell, LayerNormGRUCell])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_are_those_of_finite_differences(executor: Executor, make: type[Cell[Any]]) -> None:
    cell = with_random_parameters(make(2, 3))
    names, values = zip(*cell.named_parameters(), strict=True)
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    state = random_state(cell, x)

    def run(x: torch.Tensor, *rest: torch.Tensor) -> Any:
        leaves, parameters = rest[: len(state)], dict(zip(names, rest[len(state) :], strict=True))
        y, final = torch.func.functional_call(
            _Unrolled(cell, executor), {f"cell.{n}": p for n, p in parameters.items()}, (x, type(state)(*leaves))
        )
        return y, *final

    torch.autograd.gradcheck(run, (x, *state, *values))


class _Unrolled(torch.nn.Module):
    def __init__(self, cell: Cell[Any], executor: Executor) -> None:
        super().__init__()
        self.cell = cell
        self.backend = Through(executor)

    def forward(self, x: torch.Tensor, state: Any) -> Any:
        return self.backend(self.cell, x, state, torch.tensor([3, 2]))
