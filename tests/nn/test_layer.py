"""Any cell has the interface of ``torch.nn``'s recurrent modules."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from seqmodels import nn, recurrent_stack
from seqmodels.cells import ALL_CELLS, Cell, GRUCell, LSTMCell, LSTMState, ResetAfterGRUCell, Zoneout
from seqmodels.sequence import leaves
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 5
EXACT = TOLERANCE[torch.float64]
LENGTHS = torch.tensor([4, 7, 1])


@pytest.mark.parametrize("kind", ALL_CELLS)
def test_it_computes_what_a_stack_computes(kind: type[Cell[Any]]) -> None:
    layer = nn.Layer(kind, INPUT, HIDDEN, num_layers=2, bidirectional=True, dtype=torch.float64)
    stack = recurrent_stack(kind, INPUT, hidden_sizes=[HIDDEN, HIDDEN], bidirectional=True).double()
    names = [f"layers.{level}.{way}_layer.cell" for level in (0, 1) for way in ("forward", "backward")]
    for cell, name in zip(layer.cells, names, strict=True):
        stack.get_submodule(name).load_state_dict(cell.state_dict())
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    packed, state = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    y, final = stack(x.transpose(0, 1), None, LENGTHS)
    assert_close(pad_packed_sequence(packed, batch_first=True)[0], y, **EXACT)
    assert type(state) is type(final[0][0])
    by_row = [leaves(half) for both in final for half in both]
    for field, leaf in enumerate(state):
        assert_close(leaf, torch.stack([row[field] for row in by_row]), **EXACT)


def test_a_state_is_carried_on() -> None:
    layer = nn.Layer(GRUCell, INPUT, HIDDEN, num_layers=2, batch_first=True, dtype=torch.float64)
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    whole, end = layer(x)
    first, middle = layer(x[:, :3])
    rest, last = layer(x[:, 3:], middle)
    assert_close(torch.cat([first, rest], dim=1), whole, **EXACT)
    assert_close(last, end, **EXACT)


def test_it_computes_what_a_drop_in_computes() -> None:
    drop_in = nn.GRU(INPUT, HIDDEN, bias=False)
    layer = nn.Layer(ResetAfterGRUCell, INPUT, HIDDEN)
    weights = {f"cells.0.{name.removesuffix('_l0')}": weight for name, weight in drop_in.named_parameters()}
    zeros = {"cells.0.bias": torch.zeros(3 * HIDDEN), "cells.0.bias_hn": torch.zeros(HIDDEN)}
    layer.load_state_dict(weights | zeros)
    x = torch.randn(TIME, INPUT)
    (y, state), (wanted, h) = layer(x), drop_in(x)
    assert_close(y, wanted)
    assert_close(state.h, h)


def test_a_wrapped_cell_makes_layers() -> None:
    def factory(input_size: int) -> Cell[Any]:
        return Zoneout(LSTMCell(input_size, HIDDEN), {"h": 0.5, "c": 0.5})

    layer = nn.Layer(factory, INPUT, num_layers=2, batch_first=True, dropout=0.5)
    x = torch.randn(BATCH, TIME, INPUT)
    y, state = layer(x)
    assert isinstance(state, LSTMState)
    assert state.c.shape == (2, BATCH, HIDDEN)
    assert not torch.equal(y, layer(x)[0]), "zoneout and dropout act in training"
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_a_mistake_is_named() -> None:
    sizes = iter((HIDDEN, 6))
    with pytest.raises(TypeError, match="cell_factory must make cells, got LSTMCell"):
        nn.Layer(torch.nn.LSTMCell, INPUT, HIDDEN)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must have the same sizes to be one tensor, got \[\[\(5,\)\], \[\(6,\)\]\]"):
        nn.Layer(lambda size: GRUCell(size, next(sizes)), INPUT, num_layers=2)
    layer = nn.Layer(partial(LSTMCell, hidden_size=HIDDEN), INPUT)
    x = torch.zeros(TIME, BATCH, INPUT)
    with pytest.raises(TypeError, match=r"hx must be a LSTMState\(h, c\), got Tensor"):
        layer(x, torch.zeros(1, BATCH, HIDDEN))
    with pytest.raises(TypeError, match=r"state must be a LSTMState\(h, c\), got tuple"):
        layer(x, (torch.zeros(1, BATCH, HIDDEN),) * 2)
