"""What a type checker knows of cells and layers: mypy checks these assertions, which do nothing at run time."""

from typing import Any, assert_type

import torch
from torch import Tensor

from seqmodels import Bidirectional, Cell, GRUCell, LSTMCell, Recurrent, Stack, unroll
from seqmodels.cells import GRUState, LSTMState, RecurrentDropout, Zoneout, wrapped

X = torch.zeros(3, 7, 4)


def test_unroll_returns_the_state_of_its_cell() -> None:
    y, state = unroll(LSTMCell(4, 5), X)
    assert_type(y, Tensor)
    assert_type(state, LSTMState)
    assert_type(unroll(LSTMCell(4, 5), X)[1].c, Tensor)
    assert_type(unroll(GRUCell(4, 5), X, GRUState(h=torch.zeros(3, 5)))[1], GRUState)


def test_a_step_and_a_wrapper_have_the_state_of_the_cell() -> None:
    assert_type(LSTMCell(4, 5)(X[:, 0])[1], LSTMState)
    cell = Zoneout(RecurrentDropout(LSTMCell(4, 5), 0.1), {"h": 0.1})
    assert_type(cell, Zoneout[LSTMState])
    assert_type(cell.core, Cell[LSTMState])
    assert_type(unroll(cell, X)[1], LSTMState)
    assert_type(wrapped(4, factory=GRUCell, wrappers={}, hidden_size=5), Cell[GRUState])


def test_layers_have_the_states_of_their_cells() -> None:
    layer = Recurrent(LSTMCell(4, 5))
    assert_type(layer(X)[1], LSTMState)
    both = Bidirectional(layer, Recurrent(GRUCell(4, 5), reverse=True))
    assert_type(both(X)[1], tuple[LSTMState, GRUState])
    assert_type(Stack([both, Recurrent(LSTMCell(10, 5))])(X)[1], tuple[Any, ...])
