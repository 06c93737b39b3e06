"""The laws of unrolling, for every published cell."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels.backends import unroll
from seqmodels.cells import ALL_CELLS, Cell
from seqmodels.sequence import leaves, map_leaves, reverse
from tests.backends.fakes import (
    BATCH,
    HIDDEN,
    INPUT,
    LENGTHS,
    TIME,
    random_state,
    with_gradients,
    with_random_parameters,
)
from tests.conftest import TOLERANCE

EXACT = TOLERANCE[torch.float64]


@pytest.fixture(params=ALL_CELLS, ids=lambda cell: cell.__name__)
def cell(request: pytest.FixtureRequest) -> Cell[Any]:
    return with_random_parameters(request.param(INPUT, HIDDEN))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def test_unroll_is_repeated_steps(cell: Cell[Any], x: Tensor) -> None:
    y, final = unroll(cell, x)
    state = cell.initial_state(x[:, 0])
    for t in range(TIME):
        output, state = cell(x[:, t], state)
        assert_close(y[:, t], output, **EXACT)
    assert_close(leaves(final), leaves(state), **EXACT)
    assert y.shape == (BATCH, TIME, cell.output_size)


def test_halves_with_carried_state_make_the_whole(cell: Cell[Any], x: Tensor) -> None:
    start = random_state(cell, x)
    whole, final = unroll(cell, x, start)
    first, state = unroll(cell, x[:, :4], start)
    second, state = unroll(cell, x[:, 4:], state)
    assert_close(torch.cat([first, second], dim=1), whole, **EXACT)
    assert_close(leaves(state), leaves(final), **EXACT)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_sequence_does_not_see_its_neighbours(cell: Cell[Any], x: Tensor, backwards: bool) -> None:
    batch = with_gradients(cell, x, lengths=torch.tensor(LENGTHS), reverse=backwards)
    singles = [with_gradients(cell, x[row : row + 1, :length], reverse=backwards) for row, length in enumerate(LENGTHS)]
    for name, together in batch.items():
        if name in ("y", "gradient of x"):
            for row, length in enumerate(LENGTHS):
                assert_close(together[row, :length], singles[row][name][0], **EXACT)
                assert not together[row, length:].any()
        elif name.startswith("final"):
            assert_close(together, torch.cat([single[name] for single in singles]), **EXACT)
        else:
            assert_close(together, sum(single[name] for single in singles), **EXACT)


@pytest.mark.parametrize("filling", [99.0, torch.nan, torch.inf])
@pytest.mark.parametrize("backwards", [False, True])
def test_padding_changes_nothing(cell: Cell[Any], x: Tensor, filling: float, backwards: bool) -> None:
    lengths, state = torch.tensor(LENGTHS), random_state(cell, x)
    dirty = x.clone()
    for row, length in enumerate(LENGTHS):
        dirty[row, length:] = filling
    clean = with_gradients(cell, x, state, lengths=lengths, reverse=backwards)
    for name, value in with_gradients(cell, dirty, state, lengths=lengths, reverse=backwards).items():
        assert torch.equal(value, clean[name]), name


@pytest.mark.parametrize("lengths", [None, torch.tensor(LENGTHS)])
def test_reverse_is_forward_between_two_reversals(cell: Cell[Any], x: Tensor, lengths: Tensor | None) -> None:
    y, state = unroll(cell, x, lengths=lengths, reverse=True)
    mirrored, mirrored_state = unroll(cell, reverse(x, lengths), lengths=lengths)
    assert_close(reverse(mirrored, lengths), y, **EXACT)
    assert_close(leaves(mirrored_state), leaves(state), **EXACT)


def test_lengths_that_say_every_sequence_is_whole_change_nothing(cell: Cell[Any], x: Tensor) -> None:
    whole = with_gradients(cell, x)
    for name, value in with_gradients(cell, x, lengths=torch.full((BATCH,), TIME)).items():
        assert torch.equal(value, whole[name]), name


def test_a_single_step_is_enough(cell: Cell[Any], x: Tensor) -> None:
    y, state = unroll(cell, x[:, :1], lengths=torch.ones(BATCH, dtype=torch.long), reverse=True)
    output, expected = cell(x[:, 0])
    assert_close(y[:, 0], output, **EXACT)
    assert_close(leaves(state), leaves(expected), **EXACT)


def test_the_dtype_of_x_is_that_of_outputs_and_state(cell: Cell[Any], x: Tensor) -> None:
    y, state = unroll(cell.float(), x.float(), lengths=torch.tensor(LENGTHS))
    assert {y.dtype, *map_leaves(lambda leaf: leaf.dtype, tuple(state))} == {torch.float32}
