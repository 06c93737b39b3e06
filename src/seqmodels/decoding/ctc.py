"""Reading transcripts from the outputs of a network that was trained with CTC."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from seqmodels.decoding.ngram import NGram

Prefix = tuple[int, ...]
NOTHING = -math.inf


class Transcription(NamedTuple):
    """A transcript that a search found."""

    tokens: list[int]  # without blanks
    score: float  # what transcripts are ranked by


def ctc_best_path(log_probs: Tensor, lengths: Tensor | None = None, *, blank: int = 0) -> list[Transcription]:
    """Return the transcript of the most probable alignment of each row: repeats are merged, then blanks dropped.

    The most probable transcript may be another one, with many alignments: :func:`ctc_beam_search` looks for it.

    Args:
        log_probs: ``(batch, time, classes)``.
        lengths: number of steps of each row, ``(batch,)``; all by default.
        blank: class of the blank.

    Returns:
        One for each row; its score is the log-probability of the alignment.

    Raises:
        ValueError: shapes or lengths do not match, or there is no such class.

    Example:
        >>> classes = torch.tensor([[0, 2, 2, 0, 2, 1]])
        >>> ctc_best_path(torch.eye(3)[classes].log_softmax(-1))[0].tokens
        [2, 2, 1]
    """
    steps = _checked(log_probs, lengths, blank)
    best, classes = log_probs.max(-1)
    found = []
    for values, row, length in zip(best.double().cpu(), classes.cpu(), steps, strict=True):
        merged = row[:length].unique_consecutive()
        found.append(Transcription(merged[merged != blank].tolist(), float(values[:length].sum())))
    return found


def ctc_beam_search(
    log_probs: Tensor,
    lengths: Tensor | None = None,
    *,
    beam_size: int = 16,
    n_best: int = 1,
    blank: int = 0,
    ngram: NGram | None = None,
    ngram_weight: float = 0.0,
    token_bonus: float = 0.0,
) -> list[list[Transcription]]:
    r"""Return the transcripts of each row with the highest scores, by prefix beam search (Hannun et al., 2014).

    .. math::

        \log P(y \mid x) + \alpha \log P_n(y) + \beta \, |y|

    The first term sums over all alignments of :math:`y` that pass through kept prefixes, :math:`P_n` is an n-gram model
    with weight :math:`\alpha`, and :math:`\beta` is a bonus for each token. With a beam as large as the number of all
    prefixes, the search is exact.

    Args:
        log_probs: ``(batch, time, classes)``.
        lengths: number of steps of each row, ``(batch,)``; all by default.
        beam_size: prefixes that are kept after each step.
        n_best: most transcripts for each row, at most ``beam_size``.
        blank: class of the blank.
        ngram: language model over the other classes.
        ngram_weight: its weight.
        token_bonus: added for each token.

    Returns:
        For each row at least one transcript, best first.

    Raises:
        ValueError: shapes or lengths do not match, there is no such class, or ``n_best`` is not 1 to ``beam_size``.

    Example:
        >>> probabilities = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]])  # the best alignment is two blanks: 0.36
        >>> [[found]] = ctc_beam_search(probabilities.log())
        >>> found.tokens, round(math.exp(found.score), 2)
        ([1], 0.64)
    """
    steps = _checked(log_probs, lengths, blank)
    if not 1 <= n_best <= beam_size:
        raise ValueError(f"n_best must be 1 to beam_size={beam_size}, got {n_best}")
    rows = log_probs.double().cpu()
    search = _Search(beam_size, blank, ngram, ngram_weight, token_bonus)
    return [search.run(row[:length].tolist())[:n_best] for row, length in zip(rows, steps, strict=True)]


class _Search:
    """Prefix beam search over one row."""

    def __init__(self, beam_size: int, blank: int, ngram: NGram | None, weight: float, bonus: float) -> None:
        self.beam_size = beam_size
        self.blank = blank
        self.ngram = ngram if weight else None
        self.weight = weight
        self.bonus = bonus
        self.added: dict[Prefix, float] = {(): 0.0}  # what the language model and the bonus add to the score

    def run(self, log_probs: Sequence[Sequence[float]]) -> list[Transcription]:
        self.added = {(): 0.0}
        beam: dict[Prefix, tuple[float, float]] = {(): (0.0, NOTHING)}  # alignments that end in a blank, or in a token
        for scores in log_probs:
            beam = self._pruned(self._advanced(beam, scores))
        ranked = sorted(beam, key=lambda prefix: (-self._score(prefix, beam[prefix]), prefix))
        return [Transcription(list(prefix), self._score(prefix, beam[prefix])) for prefix in ranked]

    def _advanced(
        self, beam: dict[Prefix, tuple[float, float]], scores: Sequence[float]
    ) -> dict[Prefix, tuple[float, float]]:
        blanks: dict[Prefix, float] = {}
        tokens: dict[Prefix, float] = {}
        for prefix, (blank, token) in beam.items():
            either = _log_add(blank, token)
            blanks[prefix] = either + scores[self.blank]
            if prefix:  # the last token lasts longer
                tokens[prefix] = _log_add(tokens.get(prefix, NOTHING), token + scores[prefix[-1]])
            for label, score in enumerate(scores):
                if label == self.blank or score == NOTHING:
                    continue
                before = blank if prefix and label == prefix[-1] else either  # a repeat needs a blank between
                if before > NOTHING:
                    longer = (*prefix, label)
                    tokens[longer] = _log_add(tokens.get(longer, NOTHING), before + score)
        return {prefix: (blanks.get(prefix, NOTHING), tokens.get(prefix, NOTHING)) for prefix in blanks.keys() | tokens}

    def _pruned(self, beam: dict[Prefix, tuple[float, float]]) -> dict[Prefix, tuple[float, float]]:
        if len(beam) <= self.beam_size:
            return beam
        kept = sorted(beam, key=lambda prefix: (-self._score(prefix, beam[prefix]), prefix))[: self.beam_size]
        return {prefix: beam[prefix] for prefix in kept}

    def _score(self, prefix: Prefix, ends: tuple[float, float]) -> float:
        return _log_add(*ends) + self._of_prefix(prefix)

    def _of_prefix(self, prefix: Prefix) -> float:
        if prefix not in self.added:
            model = 0.0 if self.ngram is None else self.weight * self.ngram.log_prob(prefix[:-1], prefix[-1])
            self.added[prefix] = self._of_prefix(prefix[:-1]) + model + self.bonus
        return self.added[prefix]


def _log_add(one: float, other: float) -> float:
    high, low = (one, other) if one >= other else (other, one)
    return high if low == NOTHING else high + math.log1p(math.exp(low - high))


def _checked(log_probs: Tensor, lengths: Tensor | None, blank: int) -> list[int]:
    """Return the number of steps of each row."""
    if log_probs.dim() != 3:
        raise ValueError(f"log_probs must have shape (batch, time, classes), got {tuple(log_probs.shape)}")
    rows, time, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ValueError(f"blank must be 0 to {classes - 1}, got {blank}")
    if lengths is None:
        return [time] * rows
    found: list[int] = lengths.tolist()
    if len(found) != rows or not all(0 <= length <= time for length in found):
        raise ValueError(f"lengths must be {rows} numbers from 0 to {time}, got {found}")
    return found
