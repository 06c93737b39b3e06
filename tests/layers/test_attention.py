"""Attention over a source: its equations, padding, and steps one by one or all at once."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from seqmodels.layers import AdditiveAttention, Attention, DotAttention, GeneralAttention, coverage_losses
from tests.conftest import TOLERANCE

BATCH, STEPS, SOURCE, SIZE = 3, 4, 7, 6
LENGTHS = torch.tensor([7, 1, 4])
DOUBLE = TOLERANCE[torch.float64]
KINDS: dict[str, Callable[[int, int], Attention]] = {
    "additive": partial(AdditiveAttention, attention_size=5),
    "coverage": partial(AdditiveAttention, attention_size=5, coverage=True),
    "dot": DotAttention,
    "general": GeneralAttention,
}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def score(layer: Attention, query: Tensor, value: Tensor, coverage: Tensor) -> Tensor:
    """Return the score of one query and one step of a source, as printed."""
    if isinstance(layer, AdditiveAttention):
        hidden = layer.query.weight @ query + layer.key.weight @ value + layer.key.bias
        if layer.covered is not None:
            hidden = hidden + layer.covered.weight[:, 0] * coverage
        return layer.score.weight[0] @ hidden.tanh()
    return query @ (layer.key.weight @ value if isinstance(layer, GeneralAttention) else value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_is_the_mean_of_the_real_steps_weighted_by_the_printed_scores(kind: str) -> None:
    layer = KINDS[kind](SIZE, SIZE).double()
    query, values, coverage = draw(BATCH, STEPS, SIZE), draw(BATCH, SOURCE, SIZE), draw(BATCH, STEPS, SOURCE).abs()
    values[torch.arange(SOURCE) >= LENGTHS[:, None]] = 99.0
    context, weights = layer(query, layer.memory(values, LENGTHS), coverage)
    for row, length in enumerate(LENGTHS.tolist()):
        for step in range(STEPS):
            scores = [score(layer, query[row, step], values[row, i], coverage[row, step, i]) for i in range(length)]
            expected = torch.stack(scores).softmax(0)
            torch.testing.assert_close(weights[row, step, :length], expected, **DOUBLE)
            torch.testing.assert_close(context[row, step], expected @ values[row, :length], **DOUBLE)
            assert not weights[row, step, length:].any()


def test_a_memory_does_not_tell_full_lengths_from_none() -> None:
    layer, values = GeneralAttention(3, SIZE).double(), draw(BATCH, SOURCE, SIZE)
    for one, other in zip(layer.memory(values), layer.memory(values, torch.full((BATCH,), SOURCE)), strict=True):
        assert torch.equal(one, other)


def test_coverage_is_lost_where_a_step_is_read_again() -> None:
    weights = draw(BATCH, STEPS, SOURCE).softmax(-1)
    losses = coverage_losses(weights)
    for step in range(STEPS):
        before = weights[:, :step].sum(1)
        torch.testing.assert_close(losses[:, step], torch.minimum(weights[:, step], before).sum(-1), **DOUBLE)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"attention=dot needs .* got 4 and 6 features; attention=general takes any"):
        DotAttention(4, 6)
    with pytest.raises(ValueError, match="attention_size must be a positive whole number, got 0"):
        AdditiveAttention(4, 6, attention_size=0)
    layer = GeneralAttention(4, 6)
    memory = layer.memory(torch.zeros(3, 7, 6))
    with pytest.raises(ValueError, match=r"values must have shape \(batch, source, 6\), got \(3, 7, 4\)"):
        layer.memory(torch.zeros(3, 7, 4))
    with pytest.raises(ValueError, match=r"query must have shape \(3, steps, 4\), got \(2, 1, 4\)"):
        layer(torch.zeros(2, 1, 4), memory)
    with pytest.raises(ValueError, match=r"lengths must lie in \[1, 7\], the time of x; row 1 is 0"):
        layer.memory(torch.zeros(3, 7, 6), torch.tensor([7, 0, 3]))
