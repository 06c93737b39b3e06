"""Beam search over many sequences at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.decoding.hypotheses import Hypothesis, Step, limits_of, repeated, selected, summed_in


class _Finished(NamedTuple):
    """The finished hypotheses of each row, best first; places that are not taken have a score of minus infinity."""

    score: Tensor  # (rows, beam)
    log_prob: Tensor  # (rows, beam)
    length: Tensor  # (rows, beam)
    tokens: Tensor  # (rows, beam, length)


class _Rows(NamedTuple):
    """The sequences that are still searched for."""

    number: Tensor  # (rows,)  of the row in the batch
    limit: Tensor  # (rows,)
    room: Tensor  # (rows,)  places in the beam for hypotheses that have not ended
    log_prob: Tensor  # (rows, beam)  of those hypotheses; minus infinity where there is none
    tokens: Tensor  # (rows, beam, length)
    finished: _Finished


def beam_search(
    step: Step,
    state: Any,
    *,
    start: Tensor,
    end: int,
    max_length: int | Tensor,
    beam: int,
    n_best: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    coverage_of: Callable[[Any], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    r"""Search for the sequences of the best score, with the ``beam`` most probable beginnings of each length.

    A sequence y with attention :math:`\alpha` is scored as by Wu et al. (2016, arXiv 1609.08144):

    .. math::

        \frac{\log P(y)}{((5 + |y|) / 6)^a} + b \sum_i \log \min(1, \sum_t \alpha_{ti})

    A hypothesis that ends keeps its place in the beam, so that a beam of 1 is greedy search. A row is done when no
    hypothesis that has not ended can still come among its ``n_best``, whatever follows: stopping there changes nothing.
    Rows do not affect one another; those that are done take no further steps.

    Args:
        step: the model: from the last tokens ``(rows,)`` and a state to log-probabilities ``(rows, vocab)`` and a
            state, as :meth:`~seqmodels.models.EncoderDecoder.step`. The hypotheses of a sequence are ``beam`` rows side
            by side. A state is a nested tuple of tensors with a row for each, or in a
            :class:`~seqmodels.sequence.Shared` with one for each sequence.
        state: the state before the first token, a row for each sequence.
        start: the token that starts each sequence, ``(batch,)``.
        end: the token that ends a sequence.
        max_length: the most tokens of a sequence, the end included: for all rows, or for each ``(batch,)``. Those that
            have not ended there are hypotheses as they are.
        beam: number of hypotheses that are followed.
        n_best: number of hypotheses to return for each row, at most ``beam``.
        length_penalty: the exponent a; 0 compares log-probabilities, 1 nearly their means.
        coverage_penalty: the factor b.
        coverage_of: from a state to how much attention each step of the source has had, ``(rows, source)``, 1 where it
            is padding, as :meth:`~seqmodels.models.EncoderDecoder.coverage`; needed with a ``coverage_penalty``.

    Returns:
        For each row ``n_best`` hypotheses, best first; fewer where fewer have a probability above 0.

    Raises:
        ValueError: an option is wrong, or a row has no hypothesis: log-probabilities are NaN, or all minus infinity.

    Example:
        >>> def next_letter(tokens, state):
        ...     return (9 * torch.eye(5)[(tokens + 1) % 5]).log_softmax(-1), state
        >>> [found] = beam_search(next_letter, (), start=torch.tensor([0]), end=4, max_length=9, beam=3, n_best=2)
        >>> [hypothesis.tokens for hypothesis in found]
        [[1, 2, 3], []]
    """
    _check(beam, n_best, length_penalty, coverage_penalty, coverage_of)

    def penalty(length: Tensor | int) -> Any:
        return ((5 + length) / 6) ** length_penalty

    found: list[list[Hypothesis]] = [[] for _ in start]
    with torch.inference_mode():
        rows = _begin(start, limits_of(start, max_length), beam)
        tokens, state = start.repeat_interleave(beam), repeated(state, beam)
        for length in range(1, int(rows.limit.max()) + 1):
            log_probs, state = step(tokens, state)
            rows, parent = _extended(rows, log_probs)
            over = rows.log_prob.isfinite() & ((rows.tokens[..., -1] == end) | (length >= rows.limit)[:, None])
            score = rows.log_prob / penalty(length)
            if coverage_penalty:
                assert coverage_of is not None
                covered = coverage_of(state).unflatten(0, parent.shape)
                covered = covered.gather(1, parent[..., None].expand_as(covered)).clamp(max=1)
                cover = covered.clamp(min=torch.finfo(covered.dtype).tiny).log().sum(-1)
                score = score + coverage_penalty * cover
            rows = _retired(rows, over, score, length)
            best = rows.log_prob.amax(1) / penalty(rows.limit)  # no continuation has a better score
            done = rows.finished.score[:, n_best - 1] >= best
            if bool(done.any()):
                _collect(rows, done, end, n_best, found)
            left = (~done).nonzero()[:, 0]
            if len(left) == 0:
                break
            inside = (torch.arange(len(parent), device=parent.device)[:, None] * beam + parent)[left].flatten()
            state = selected(state, inside, left if len(left) < len(parent) else None)
            rows = selected(rows, left, None)
            tokens = rows.tokens[..., -1].flatten()
    for number, hypotheses in enumerate(found):
        if not hypotheses:
            raise ValueError(f"row {number} has no hypothesis: log-probabilities are NaN, or all minus infinity")
    return found


def _check(
    beam: int, n_best: int, length_penalty: float, coverage_penalty: float, coverage_of: Callable[[Any], Tensor] | None
) -> None:
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best must lie in [1, beam], got {n_best} with beam={beam}")
    for name, value in (("length_penalty", length_penalty), ("coverage_penalty", coverage_penalty)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must not be negative or infinite, got {value}")
    if coverage_penalty and coverage_of is None:
        raise ValueError("coverage_penalty needs coverage_of, which says how much attention the source has had")


def _begin(start: Tensor, limit: Tensor, beam: int) -> _Rows:
    rows = len(start)
    nothing = torch.full((rows, beam), -torch.inf, device=start.device)
    log_prob = nothing.clone()
    log_prob[:, 0] = 0  # one hypothesis, which has no token
    tokens = start.new_zeros(rows, beam, 0)
    finished = _Finished(nothing, nothing, start.new_zeros(rows, beam), tokens)
    return _Rows(
        torch.arange(rows, device=start.device), limit, torch.full_like(start, beam), log_prob, tokens, finished
    )


def _extended(rows: _Rows, log_probs: Tensor) -> tuple[_Rows, Tensor]:
    """Return the best hypotheses of one more token, and which ones they continue, ``(rows, beam)``."""
    count, beam = rows.log_prob.shape
    vocab = log_probs.shape[-1]
    total = rows.log_prob[..., None] + log_probs.view(count, beam, vocab).to(summed_in(log_probs))
    best, index = total.flatten(1).topk(beam)
    best = best.masked_fill(torch.arange(beam, device=best.device) >= rows.room[:, None], -torch.inf)
    parent = index // vocab
    before = rows.tokens.gather(1, parent[..., None].expand_as(rows.tokens))
    return rows._replace(log_prob=best, tokens=torch.cat([before, (index % vocab)[..., None]], 2)), parent


def _retired(rows: _Rows, over: Tensor, score: Tensor, length: int) -> _Rows:
    """Move the hypotheses that are ``over`` to the finished ones."""
    old = rows.finished
    scores = torch.cat([old.score, score.masked_fill(~over, -torch.inf)], 1)
    order = torch.sort(scores, dim=1, descending=True, stable=True)
    beam = over.shape[1]  # a row has at most this many finished ones: each took its place in the beam
    index = order.indices[:, :beam]
    tokens = torch.cat([F.pad(old.tokens, (0, 1)), rows.tokens], 1)
    finished = _Finished(
        order.values[:, :beam],
        torch.cat([old.log_prob, rows.log_prob], 1).gather(1, index),
        torch.cat([old.length, torch.full_like(old.length, length)], 1).gather(1, index),
        tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2])),
    )
    left = rows.log_prob.masked_fill(over, -torch.inf)
    return rows._replace(room=rows.room - over.sum(1), log_prob=left, finished=finished)


def _collect(rows: _Rows, done: Tensor, end: int, n_best: int, found: list[list[Hypothesis]]) -> None:
    """Write the hypotheses of the rows that are ``done`` to their places in ``found``."""
    parts = [rows.number, *(part[:, :n_best] for part in rows.finished)]
    for number, *columns in zip(*(part[done].tolist() for part in parts), strict=True):
        for score, log_prob, length, tokens in zip(*columns, strict=True):
            if score > float("-inf"):
                complete = tokens[length - 1] == end
                found[number].append(Hypothesis(tokens[: length - complete], score, log_prob, complete))
