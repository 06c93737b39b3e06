"""Small cells, inputs and states, in float64, for the tests of cells."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqmodels.cells import Cell, LearnedInitialState, RecurrentDropout, RecurrentLayerNorm, WeightDrop, Zoneout
from seqmodels.cells.wrappers.wrapper import example_input

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5


def sigma(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def some_state(cell: Cell[Any], x: Tensor) -> Any:
    state = cell.initial_state(x)
    return type(state)(*(torch.randn_like(leaf) for leaf in state))


def zoneout_everywhere(cell: Cell[Any]) -> Zoneout:
    return Zoneout(cell, dict.fromkeys(cell.initial_state(example_input(cell))._fields, 0.3))


WRAPPERS: dict[str, Callable[[Cell[Any]], Cell[Any]]] = {
    "recurrent_dropout": lambda cell: RecurrentDropout(cell, 0.4),
    "recurrent_layer_norm": RecurrentLayerNorm,
    "zoneout": zoneout_everywhere,
    "weight_drop": lambda cell: WeightDrop(cell, 0.4),
    "learned_initial_state": LearnedInitialState,
}


@pytest.fixture
def small() -> Callable[..., Any]:
    """Build a float64 cell of the sizes above whose every parameter is drawn, gains and shifts too."""

    def build(cell_type: type[Cell[Any]], **options: Any) -> Any:
        cell = cell_type(INPUT, HIDDEN, **options).double()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.uniform_(-0.9, 0.9)
        return cell

    return build


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
