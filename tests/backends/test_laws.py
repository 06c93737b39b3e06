"""The laws of unrolling, for every published cell."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels.backends import backends_for, unroll
from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    GRUCell,
    LearnedInitialState,
    LSTMCell,
    MinGRUCell,
    RecurrentDropout,
    Zoneout,
)
from seqmodels.sequence import leaves, map_leaves, reverse
from tests.backends.fakes import (
    BATCH,
    HIDDEN,
    INPUT,
    LENGTHS,
    RESETS,
    TIME,
    assert_same,
    measured,
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


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("given", [False, True], ids=["initial", "given"])
def test_a_row_with_resets_is_its_sequences_run_alone(cell: Cell[Any], x: Tensor, given: bool, backwards: bool) -> None:
    assert_sequences_stay_apart(cell, x, given=given, backwards=backwards)


WRAPPED: dict[str, Callable[[], Cell[Any]]] = {
    "learned initial state": lambda: LearnedInitialState(LSTMCell(INPUT, HIDDEN)),
    "learned initial state of a scan": lambda: LearnedInitialState(MinGRUCell(INPUT, HIDDEN)),
    "zoneout of a scan": lambda: Zoneout(MinGRUCell(INPUT, HIDDEN), {"h": 0.2}),
    "all at once": lambda: LearnedInitialState(Zoneout(RecurrentDropout(GRUCell(INPUT, HIDDEN), 0.3), {"h": 0.2})),
}


@pytest.mark.parametrize("given", [False, True], ids=["initial", "given"])
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_sequences_of_a_row_stay_apart_in_any_wrapper(x: Tensor, wrapped: str, given: bool) -> None:
    assert_sequences_stay_apart(with_random_parameters(WRAPPED[wrapped]()).eval(), x, given=given, backwards=False)


@pytest.mark.parametrize("backend", ["eager", "scan", "fused"])
def test_a_state_that_is_replaced_before_the_first_step_may_be_anything(x: Tensor, backend: str) -> None:
    cell, resets = with_random_parameters(LearnedInitialState(MinGRUCell(INPUT, HIDDEN))), torch.tensor(RESETS)
    resets[:, 0] = True
    spoiled = map_leaves(lambda leaf: torch.full_like(leaf, torch.nan), random_state(cell, x))
    found = with_gradients(cell, x, spoiled, resets=resets, backend=backend)
    assert_same(found, with_gradients(cell, x, resets=resets, backend=backend))


def assert_sequences_stay_apart(cell: Cell[Any], x: Tensor, *, given: bool, backwards: bool) -> None:
    """Compare every back-end, given resets, with a loop over single sequences: outputs, final states, gradients.

    The first of a row starts from the given state unless it is flagged, all others from the cell's initial state.
    """
    state, lengths = random_state(cell, x) if given else None, torch.tensor(LENGTHS)
    read = reverse(x, lengths) if backwards else x  # in the order of reading
    flags = [sorted({0, *(t for t in range(length) if RESETS[row][t])}) for row, length in enumerate(LENGTHS)]

    def alone(leaf: Tensor) -> tuple[Tensor, Any]:
        y, final = torch.zeros(BATCH, TIME, cell.output_size).double(), []
        for row, length in enumerate(LENGTHS):
            for start, end in pairwise([*flags[row], length]):
                goes_on = state is not None and start == 0 and not RESETS[row][0]
                first = map_leaves(lambda leaf: leaf[row : row + 1], state) if goes_on else None  # noqa: B023
                y[row, start:end], last = unroll(cell, leaf[row : row + 1, start:end], first, backend="eager")
            final.append(last)
        return y, map_leaves(lambda *rows: torch.cat(rows), *final)

    expected = measured(alone, cell, read, state)
    if backwards:
        expected |= {name: reverse(expected[name], lengths) for name in ("y", "gradient of x")}
    resets = torch.tensor(RESETS)
    resets = reverse(resets, lengths) if backwards else resets
    for name, why in backends_for(cell, x).items():
        if why is None and name != "native":
            options: dict[str, Any] = {"lengths": lengths, "resets": resets, "reverse": backwards, "backend": name}
            assert_same(with_gradients(cell, x, state, **options), expected, name)


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
