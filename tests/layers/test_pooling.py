"""Pooling over time: padding takes no part, and every step counts as it should."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.layers import AttentionPool, Bidirectional, ConcatPool, LastStep, MaxPool, MeanPool, Recurrent
from tests.conftest import TOLERANCE

BATCH, TIME, SIZE = 3, 7, 5
LENGTHS = torch.tensor([4, 7, 1])
EXACT = TOLERANCE[torch.float64]
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "last": LastStep,
    "last of two directions": lambda: LastStep(backward_size=2),
    "mean": MeanPool,
    "max": MaxPool,
    "attention": lambda: AttentionPool(SIZE, attention_size=3),
    "concat": lambda: ConcatPool(SIZE, backward_size=2),
}


@pytest.fixture(params=MAKERS)
def pool(request: pytest.FixtureRequest) -> nn.Module:
    return MAKERS[request.param]().double()


@pytest.fixture
def y() -> Tensor:
    return (
        torch.randn(BATCH, TIME, SIZE, dtype=torch.float64) - 2
    )  # below 0, so that a 0 of the padding would win a max


def test_a_ragged_batch_is_its_singles(pool: nn.Module, y: Tensor) -> None:
    pooled = pool(y, LENGTHS)
    assert pooled.shape == (BATCH, getattr(pool, "output_size", SIZE))
    for row, length in enumerate(LENGTHS):
        assert_close(pooled[row], pool(y[row : row + 1, :length])[0], **EXACT)


@pytest.mark.parametrize("filling", [99.0, torch.nan, torch.inf])
def test_padding_changes_nothing(pool: nn.Module, y: Tensor, filling: float) -> None:
    results = []
    for value in (0.0, filling):
        filled = y.masked_fill(torch.arange(TIME)[:, None] >= LENGTHS[:, None, None], value).requires_grad_()
        pooled = pool(filled, LENGTHS)
        results.append((pooled, *torch.autograd.grad(pooled.sin().sum(), [filled, *pool.parameters()])))
    assert_close(results[1], results[0], **EXACT)


def test_full_lengths_are_no_lengths(pool: nn.Module, y: Tensor) -> None:
    assert_close(pool(y, torch.full((BATCH,), TIME)), pool(y), **EXACT)


def test_last_mean_and_max_are_what_they_are_called(y: Tensor) -> None:
    rows = [y[row, :length].numpy() for row, length in enumerate(LENGTHS)]
    assert_close(LastStep()(y, LENGTHS).numpy(), np.stack([row[-1] for row in rows]))
    assert_close(MeanPool()(y, LENGTHS).numpy(), np.stack([row.mean(0) for row in rows]))
    assert_close(MaxPool()(y, LENGTHS).numpy(), np.stack([row.max(0) for row in rows]))
    parts = [np.concatenate([row[-1], row.max(0), row.mean(0)]) for row in rows]
    assert_close(ConcatPool(SIZE)(y, LENGTHS).numpy(), np.stack(parts))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_last_step_of_two_directions_is_where_each_has_seen_all(lengths: Tensor | None) -> None:
    layer = Bidirectional(Recurrent(GRUCell(4, 5)), Recurrent(LSTMCell(4, 3), reverse=True))
    y, (forward, backward) = layer(torch.randn(BATCH, TIME, 4), None, lengths)
    pooled = LastStep(backward_size=layer.backward_size)(y, lengths)
    assert torch.equal(pooled, torch.cat([forward.h, backward.h], dim=-1))


def test_a_layer_that_reads_backwards_ends_at_step_0() -> None:
    layer = Recurrent(GRUCell(4, 5), reverse=True)
    y, state = layer(torch.randn(BATCH, TIME, 4), None, LENGTHS)
    assert torch.equal(LastStep(backward_size=layer.backward_size)(y, LENGTHS), state.h)


def test_attention_is_a_softmax_over_the_real_steps(y: Tensor) -> None:
    pool = AttentionPool(SIZE, attention_size=3).double()
    weights = pool.weights(y, LENGTHS)
    W, b, v = (parameter.detach().numpy() for parameter in (pool.hidden.weight, pool.hidden.bias, pool.score.weight[0]))
    for row, length in enumerate(LENGTHS):
        scores = np.exp(np.tanh(y[row, :length].numpy() @ W.T + b) @ v)
        assert_close(weights[row, :length].detach().numpy(), scores / scores.sum(), **EXACT)
        assert not weights[row, length:].any()
    assert_close(pool(y, LENGTHS), torch.einsum("bt,bts->bs", weights, y), **EXACT)


def test_a_backward_part_must_fit() -> None:
    with pytest.raises(ValueError, match=r"y must have at least 9 features, got shape \(3, 7, 5\)"):
        LastStep(backward_size=9)(torch.zeros(3, 7, 5))
    with pytest.raises(ValueError, match="backward_size must not be negative, got -1"):
        LastStep(backward_size=-1)
