"""Which tokens can be sampled, and how often; generation token by token."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seqmodels.decoding import Sampling, filtered, generate
from tests.conftest import TOLERANCE

FLOAT32 = TOLERANCE[torch.float32]


def kept(scores: Tensor) -> list[set[int]]:
    return [set(row.isfinite().nonzero().flatten().tolist()) for row in scores]


@pytest.mark.parametrize("k", [1, 3, 11, 50])
def test_top_k_keeps_the_k_likeliest_of_each_row_with_their_scores(k: int) -> None:
    scores = torch.randn(5, 11)
    result = filtered(scores, top_k=k)
    assert kept(result) == [set(row.argsort(descending=True)[:k].tolist()) for row in scores]
    assert torch.equal(result[result.isfinite()], scores[result.isfinite()])


def test_top_p_keeps_the_fewest_of_the_likeliest_that_have_the_probability() -> None:
    probabilities = torch.tensor([[0.1, 0.5, 0.05, 0.35], [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]])
    scores = probabilities.log()
    assert kept(filtered(scores, top_p=0.8)) == [{1, 3}, {0}, {0, 1, 2, 3}]
    assert kept(filtered(scores, top_p=0.86)) == [{0, 1, 3}, {0}, {0, 1, 2, 3}]
    assert kept(filtered(scores, top_p=1e-9)) == [{1}, {0}, {0}]
    assert torch.equal(filtered(scores, top_p=1.0), scores)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_no_token_that_top_p_drops_is_likelier_than_one_it_keeps(p: float) -> None:
    scores = torch.randn(7, 23)
    result = filtered(scores, top_p=p)
    for row, before in zip(result, scores, strict=True):
        inside = row.isfinite()
        assert before[inside].min() >= before[~inside].max()
        share = before.softmax(-1)[inside]
        assert share.sum() >= p
        assert share.sum() - share.min() < p


def test_top_p_looks_at_what_top_k_left() -> None:
    scores = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert kept(filtered(scores, top_k=2, top_p=0.57)) == [{0}]  # 0.4 of 0.7 is 0.571
    assert kept(filtered(scores, top_p=0.57)) == [{0, 1}]


def test_temperature_zero_takes_the_likeliest_and_draws_nothing() -> None:
    scores = torch.randn(5, 11)
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert torch.equal(Sampling(temperature=0).choose(scores, generator), scores.argmax(-1))
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_of_scores_over_temperature_says(temperature: float) -> None:
    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    drawn = Sampling(temperature).choose(scores.expand(40000, -1), torch.Generator().manual_seed(1))
    found = drawn.bincount(minlength=4) / 40000
    torch.testing.assert_close(found, (scores / temperature).softmax(-1), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must not be negative or infinite, got -0.1"),
        ({"temperature": math.nan}, "temperature must not be negative or infinite, got nan"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, r"top_p must lie in \(0, 1\], got 0.0"),
        ({"top_p": 1.5}, r"top_p must lie in \(0, 1\], got 1.5"),
    ],
)
def test_options_outside_their_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_writing_feeds_each_token_back_and_steps_once_for_each_but_the_last() -> None:
    """A model that predicts the successor of the last token, and counts its steps in the state."""
    calls: list[int] = []

    def step(tokens: Tensor, state: int) -> tuple[Tensor, int]:
        calls.append(state)
        return torch.nn.functional.one_hot((tokens + 1) % 5, 5).float(), state + 1

    first = torch.nn.functional.one_hot(torch.tensor([3, 0]), 5).float()
    written = list(generate(step, first, 7, length=4, choose=Sampling(temperature=0).choose))
    assert torch.stack(written, dim=1).tolist() == [[3, 4, 0, 1], [0, 1, 2, 3]]
    assert calls == [7, 8, 9]


def test_a_token_is_there_before_the_next_step_is_taken() -> None:
    def never(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise AssertionError("the first token needs no step")

    assert next(generate(never, torch.eye(3), None, length=2, choose=lambda scores: scores.argmax(-1))).tolist() == [
        0,
        1,
        2,
    ]
