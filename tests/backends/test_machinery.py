"""Lengths, reversal and carried state, with cells that count, echo and latch: the answers are integers."""

import pytest
import torch
from torch import Tensor

from seqmodels.backends import unroll
from tests.backends.fakes import CountingCell, EchoCell, LatchCell, Number


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[..., None]


X = rows([1, 2, 3, 4], [5, 6, 7, 8], [9, 8, 7, 6])
LENGTHS = torch.tensor([2, 4, 1])


def test_every_step_is_made_once() -> None:
    y, state = unroll(CountingCell(), X)
    assert y[..., 0].tolist() == [[1, 2, 3, 4]] * 3
    assert state.value[:, 0].tolist() == [4, 4, 4]


def test_past_its_length_a_sequence_puts_out_0_and_its_state_stands_still() -> None:
    y, state = unroll(CountingCell(), X, lengths=LENGTHS)
    assert y[..., 0].tolist() == [[1, 2, 0, 0], [1, 2, 3, 4], [1, 0, 0, 0]]
    assert state.value[:, 0].tolist() == [2, 4, 1]


def test_a_given_state_is_where_it_starts() -> None:
    y, state = unroll(CountingCell(), X, Number(rows([10], [20], [30])[:, 0]), lengths=LENGTHS)
    assert y[:, 0, 0].tolist() == [11, 21, 31]
    assert state.value[:, 0].tolist() == [12, 24, 31]


def test_a_row_starts_again_where_it_is_reset_and_nowhere_else() -> None:
    resets = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0, 0]]).bool()  # one in a first step, some past a length
    y, state = unroll(CountingCell(), X, lengths=LENGTHS, resets=resets)
    assert y[..., 0].tolist() == [[1, 1, 0, 0], [1, 2, 1, 1], [1, 0, 0, 0]]
    assert state.value[:, 0].tolist() == [1, 1, 1]
    y, _ = unroll(CountingCell(), X, Number(rows([10], [20], [30])[:, 0]), resets=resets)
    assert y[..., 0].tolist() == [[11, 1, 2, 1], [1, 2, 1, 1], [31, 32, 33, 34]]


def test_backwards_a_flag_belongs_to_the_step_that_a_row_starts_again_with() -> None:
    resets = torch.tensor([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]).bool()
    y, state = unroll(LatchCell(), X, lengths=LENGTHS, resets=resets, reverse=True)
    assert y[..., 0].tolist() == [[2, 2, 0, 0], [7, 7, 7, 8], [9, 0, 0, 0]]
    assert state.value[:, 0].tolist() == [2, 7, 9]


def test_reverse_starts_at_the_last_real_step() -> None:
    y, state = unroll(LatchCell(), X, lengths=LENGTHS, reverse=True)
    assert state.value[:, 0].tolist() == [2, 8, 9]
    assert y[..., 0].tolist() == [[2, 2, 0, 0], [8, 8, 8, 8], [9, 0, 0, 0]]


def test_reverse_ends_at_the_first_step() -> None:
    assert unroll(EchoCell(), X, lengths=LENGTHS, reverse=True)[1].value[:, 0].tolist() == [1, 5, 9]
    assert unroll(EchoCell(), X, reverse=True)[1].value[:, 0].tolist() == [1, 5, 9]


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_reverse_leaves_outputs_at_the_steps_they_belong_to(lengths: Tensor | None) -> None:
    forwards, _ = unroll(EchoCell(), X, lengths=lengths)
    backwards, _ = unroll(EchoCell(), X, lengths=lengths, reverse=True)
    assert torch.equal(forwards, backwards)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_lengths_may_be_any_integers(dtype: torch.dtype) -> None:
    assert unroll(CountingCell(), X, lengths=LENGTHS.to(dtype))[1].value[:, 0].tolist() == [2, 4, 1]
