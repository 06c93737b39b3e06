"""Linear-chain CRF: everything equals brute force over all sequences of tags; padding has no effect."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels.layers import IndependentTags, LinearChainCRF, TagDistribution
from tests.conftest import TOLERANCE

TAGS = 3
LENGTHS = torch.tensor([4, 1, 3, 5])
CLOSE = TOLERANCE[torch.float64]


@pytest.fixture
def crf() -> LinearChainCRF:
    crf = LinearChainCRF(TAGS, dtype=torch.float64)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


@pytest.fixture
def scores() -> Tensor:
    return torch.randn(len(LENGTHS), int(LENGTHS.max()), TAGS, dtype=torch.float64)


def sequences(length: int) -> list[tuple[int, ...]]:
    return list(product(range(TAGS), repeat=length))


def by_hand(crf: LinearChainCRF, x: Tensor, tags: tuple[int, ...]) -> Tensor:
    """The score of one sequence of tags, term by term."""
    total = crf.first[tags[0]] + crf.last[tags[-1]] + sum(x[step, tag] for step, tag in enumerate(tags))
    return total + sum(crf.transitions[before, after] for before, after in pairwise(tags))


def test_the_partition_function_the_best_tags_and_the_marginals_are_those_of_all_sequences(
    crf: LinearChainCRF, scores: Tensor
) -> None:
    partition, best, marginals = (
        getattr(crf, name)(scores, LENGTHS) for name in ("log_partition", "best", "marginals")
    )
    for row, length in enumerate(LENGTHS.tolist()):
        every = sequences(length)
        values = torch.stack([by_hand(crf, scores[row], tags) for tags in every])
        assert_close(partition[row], values.logsumexp(0), **CLOSE)
        assert tuple(best[row, :length].tolist()) == every[int(values.argmax())]
        probability = values.softmax(0)
        for step, tag in product(range(length), range(TAGS)):
            having = torch.tensor([tags[step] == tag for tags in every])
            assert_close(marginals[row, step, tag], probability[having].sum(), **CLOSE)


def test_a_loss_is_the_negative_log_probability_and_those_of_all_sequences_sum_to_one(
    crf: LinearChainCRF, scores: Tensor
) -> None:
    every = torch.tensor(sequences(4))
    losses = crf.losses(scores[:1, :4].expand(len(every), -1, -1), every)
    assert_close(losses.neg().exp().sum(), torch.ones((), dtype=torch.float64), **CLOSE)
    for tags, loss in zip(every.tolist(), losses, strict=True):
        partition = crf.log_partition(scores[:1, :4])[0]
        assert_close(loss, partition - by_hand(crf, scores[0], tuple(tags)), **CLOSE)


@pytest.mark.parametrize("chained", [True, False], ids=["crf", "independent"])
def test_a_row_in_a_batch_is_as_alone_and_what_is_past_its_end_is_never_read(
    crf: LinearChainCRF, scores: Tensor, chained: bool
) -> None:
    chain: TagDistribution = crf if chained else IndependentTags()
    tags = torch.randint(TAGS, scores.shape[:2])
    for filler, tag in ((99.0, 77), (-float("inf"), -100), (float("nan"), 0)):
        x, y = scores.clone().requires_grad_(), tags.clone()
        with torch.no_grad():
            for row, length in enumerate(LENGTHS.tolist()):
                x[row, length:], y[row, length:] = filler, tag
        losses, best, marginals = chain.losses(x, y, LENGTHS), chain.best(x, LENGTHS), chain.marginals(x, LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            alone = scores[row : row + 1, :length]
            assert_close(losses[row], chain.losses(alone, tags[row : row + 1, :length])[0], **CLOSE)
            assert best[row, :length].equal(chain.best(alone)[0])
            assert_close(marginals[row, :length], chain.marginals(alone)[0], **CLOSE)
            assert not best[row, length:].any()
            assert not marginals[row, length:].any()
        if filler == 99.0:
            losses.sum().backward()
            assert x.grad is not None
            assert not any(x.grad[row, length:].any() for row, length in enumerate(LENGTHS.tolist()))


def test_without_transitions_a_crf_is_independent_tags(scores: Tensor) -> None:
    crf, tags = LinearChainCRF(TAGS, dtype=torch.float64), torch.randint(TAGS, scores.shape[:2])
    alone = IndependentTags()
    assert_close(crf.losses(scores, tags, LENGTHS), alone.losses(scores, tags, LENGTHS), **CLOSE)
    assert crf.best(scores, LENGTHS).equal(alone.best(scores, LENGTHS))
    assert_close(crf.marginals(scores, LENGTHS), alone.marginals(scores, LENGTHS), **CLOSE)


@pytest.mark.parametrize("distribution", [LinearChainCRF(TAGS), IndependentTags()])
def test_scores_of_16_bits_are_added_up_in_32(distribution: TagDistribution) -> None:
    scores, tags = 20 * torch.randn(2, 90, TAGS).bfloat16(), torch.randint(TAGS, (2, 90))
    assert distribution.losses(scores, tags).equal(distribution.losses(scores.float(), tags))
    assert distribution.marginals(scores).equal(distribution.marginals(scores.float()))


def test_gradients_are_right(crf: LinearChainCRF, scores: Tensor) -> None:
    tags = torch.randint(TAGS, scores.shape[:2])

    def losses(x: Tensor, *_: Tensor) -> Tensor:
        return crf.losses(x, tags, LENGTHS)  # gradcheck changes the parameters in place

    assert torch.autograd.gradcheck(losses, (scores.requires_grad_(), *crf.parameters()))


@pytest.mark.parametrize(
    ("scores", "tags", "lengths", "reason"),
    [
        ((2, 4, 2), (2, 4), None, r"scores must have shape \(batch, time, 3\), got \(2, 4, 2\)"),
        ((4, 3), (4,), None, r"scores must have shape \(batch, time, 3\), got \(4, 3\)"),
        ((2, 0, 3), (2, 0), None, "with a step, got"),
        ((2, 4, 3), (2, 5), None, r"tags must have shape \(2, 4\), \(batch, time\), got \(2, 5\)"),
        ((2, 4, 3), (2, 4), [4, 0], r"lengths must lie in \[1, 4\], .* row 1 is 0"),
    ],
)
def test_what_does_not_fit_is_named(
    crf: LinearChainCRF, scores: tuple[int, ...], tags: tuple[int, ...], lengths: list[int] | None, reason: str
) -> None:
    given = None if lengths is None else torch.tensor(lengths)
    with pytest.raises(ValueError, match=reason):
        crf.losses(torch.zeros(scores, dtype=torch.float64), torch.zeros(tags, dtype=torch.long), given)


def test_a_crf_without_tags_is_refused() -> None:
    with pytest.raises(ValueError, match="tags must be at least 1, got 0"):
        LinearChainCRF(0)
