"""A linear-chain conditional random field, and tags that are independent of each other behind the same interface."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells.base import Device, DType
from seqmodels.sequence import last_step, length_mask, reverse, usable_lengths


class TagDistribution(nn.Module, ABC):
    """Base of the distributions of the tags of a sequence, given a score for each tag at each step.

    In all methods ``scores`` are ``(batch, time, tags)``, ``tags (batch, time)`` whole numbers, and ``lengths
    (batch,)`` the number of real steps of each sequence, all by default. What lies past a length has no effect. Scores
    of 16 bits, as autocast gives, are added up in float32.

    Example:
        >>> issubclass(LinearChainCRF, TagDistribution)
        True
    """

    @abstractmethod
    def losses(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the negative log-probability ``(batch,)`` of the tags of each sequence.

        Raises:
            ValueError: shapes do not match, or a length is outside [1, time].
        """

    @abstractmethod
    def best(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the most probable tags ``(batch, time)`` of each sequence, 0 past its length."""

    @abstractmethod
    def marginals(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the probability ``(batch, time, tags)`` of each tag at each step, 0 past a sequence's length."""


class IndependentTags(TagDistribution):
    """Tags that do not depend on each other: at each step, a softmax of the scores.

    Example:
        >>> scores = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [5.0, 5.0]]])
        >>> IndependentTags().best(scores, torch.tensor([2])).tolist()
        [[1, 0, 0]]
    """

    def losses(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        tags, real, scores = _checked(scores, tags), _real_steps(scores, lengths), _wide(scores)
        losses = F.cross_entropy(scores.flatten(0, 1), tags.masked_fill(~real, 0).flatten(), reduction="none")
        return torch.where(real, losses.view_as(real), 0).sum(1)

    def best(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        return scores.argmax(-1).masked_fill(~_real_steps(scores, lengths), 0)

    def marginals(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        return _wide(scores).softmax(-1).masked_fill(~_real_steps(scores, lengths)[..., None], 0)


class LinearChainCRF(TagDistribution):
    r"""A conditional random field over the tags of a sequence (Lafferty, McCallum and Pereira, 2001).

    .. math::
        s(y) = b_{y_1} + \sum_t x_{t, y_t} + \sum_{t > 1} A_{y_{t-1}, y_t} + e_{y_T},
        \qquad p(y) = e^{s(y)} / Z, \qquad Z = \sum_{y'} e^{s(y')}

    The scores :math:`x` come from a network; :math:`A`, :math:`b` and :math:`e` are ``transitions (tags, tags)``, from
    row to column, ``first (tags,)`` and ``last (tags,)``. They start at 0, where tags are independent. The partition
    function :math:`Z` is computed exactly by the forward algorithm, the best tags by that of Viterbi.

    Args:
        tags: number of tags.
        device, dtype: of the parameters.

    Raises:
        ValueError: there is no tag.

    Example:
        >>> crf = LinearChainCRF(3)
        >>> scores, tags = torch.randn(2, 5, 3), torch.tensor([[0, 1, 2, 1, 0], [2, 2, 0, 0, 0]])
        >>> crf.losses(scores, tags, torch.tensor([5, 2])).shape
        torch.Size([2])
    """

    def __init__(self, tags: int, *, device: Device = None, dtype: DType = None) -> None:
        super().__init__()
        if tags < 1:
            raise ValueError(f"tags must be at least 1, got {tags}")
        self.tags = tags
        self.transitions = nn.Parameter(torch.zeros(tags, tags, device=device, dtype=dtype))
        self.first = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))
        self.last = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))

    def losses(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.log_partition(scores, lengths) - self.score(scores, tags, lengths)

    def score(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the score ``(batch,)`` of the tags of each sequence, the logarithm of their unnormalised probability.

        Raises:
            ValueError: shapes do not match, or a length is outside [1, time].
        """
        tags, real, scores = _checked(scores, tags), self._real_steps(scores, lengths), _wide(scores)
        tags = tags.masked_fill(~real, 0)
        emitted = scores.gather(2, tags[..., None]).squeeze(2)
        moved = self.transitions[tags[:, :-1], tags[:, 1:]]
        steps = torch.where(real, emitted, 0).sum(1) + torch.where(real[:, 1:], moved, 0).sum(1)
        return steps + self.first[tags[:, 0]] + self.last[last_step(tags, real.sum(1))]

    def log_partition(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logarithm ``(batch,)`` of the sum over all sequences of tags of the exponential of their score."""
        real, scores = self._real_steps(scores, lengths), _wide(scores)
        ends = _forward(scores, self.first, self.transitions, real)[-1]
        return (ends + self.last).logsumexp(-1)

    def best(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        real, scores = self._real_steps(scores, lengths), _wide(scores)
        stay = torch.arange(self.tags, device=scores.device)
        best, origins = scores[:, 0] + self.first, list[Tensor]()
        for x, is_real in zip(scores.unbind(1)[1:], real.unbind(1)[1:], strict=True):
            reached, origin = (best[:, :, None] + self.transitions).max(1)
            best = torch.where(is_real[:, None], reached + x, best)
            origins.append(torch.where(is_real[:, None], origin, stay))
        tags = [(best + self.last).argmax(-1)]
        for origin in reversed(origins):
            tags.append(origin.gather(1, tags[-1][:, None]).squeeze(1))
        return torch.stack(tags[::-1], 1).masked_fill(~real, 0)

    def marginals(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        real, scores = self._real_steps(scores, lengths), _wide(scores)
        until = torch.stack(_forward(scores, self.first, self.transitions, real), 1)
        known = real.sum(1)
        back = torch.stack(_forward(reverse(scores, known), self.last, self.transitions.T, real), 1)
        both = until + reverse(back, known) - scores  # the score of the step itself is in both directions
        return both.softmax(-1).masked_fill(~real[..., None], 0)

    def extra_repr(self) -> str:
        return f"tags={self.tags}"

    def _real_steps(self, scores: Tensor, lengths: Tensor | None) -> Tensor:
        if scores.shape[2:] != (self.tags,):
            raise ValueError(f"scores must have shape (batch, time, {self.tags}), got {tuple(scores.shape)}")
        return _real_steps(scores, lengths)


def _forward(scores: Tensor, first: Tensor, transitions: Tensor, real: Tensor) -> list[Tensor]:
    """Return for each step the log-sums ``(batch, tags)`` over all tags before it; past a length, those of its end."""
    sums = [scores[:, 0] + first]
    for x, is_real in zip(scores.unbind(1)[1:], real.unbind(1)[1:], strict=True):
        reached = (sums[-1][:, :, None] + transitions).logsumexp(1) + x
        sums.append(torch.where(is_real[:, None], reached, sums[-1]))
    return sums


def _real_steps(scores: Tensor, lengths: Tensor | None) -> Tensor:
    """Return a mask ``(batch, time)`` of the real steps.

    Raises:
        ValueError: scores have another number of dimensions, or a length is outside [1, time].
    """
    if scores.dim() != 3 or scores.shape[1] < 1:
        raise ValueError(f"scores must have shape (batch, time, tags) with a step, got {tuple(scores.shape)}")
    if lengths is None:
        return scores.new_ones(scores.shape[:2], dtype=torch.bool)
    return length_mask(usable_lengths(lengths, scores), scores.shape[1])


def _wide(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _checked(scores: Tensor, tags: Tensor) -> Tensor:
    if tags.shape != scores.shape[:2]:
        raise ValueError(f"tags must have shape {tuple(scores.shape[:2])}, (batch, time), got {tuple(tags.shape)}")
    return tags
