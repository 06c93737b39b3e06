"""Language models from counts of short sequences of tokens."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence


class NGram:
    r"""The probability of a token after the few before it, from their counts, with Witten-Bell smoothing.

    .. math::

        P(w \mid h) = \frac{c(h w) + T(h) \, P(w \mid h')}{\sum_v c(h v) + T(h)}

    where :math:`T(h)` is the number of different tokens seen after :math:`h`, and :math:`h'` is :math:`h` without its
    first token; before the empty history all tokens are equally probable (Bell, Cleary and Witten, 1990).

    Args:
        counts: how often each sequence of tokens occurs, by the tokens separated by spaces: ``{"3": 2, "3 5": 1}``.
        order: length of the longest sequences; the history is one token shorter.
        vocab_size: number of tokens that may follow.

    Raises:
        ValueError: ``order`` or ``vocab_size`` is less than 1.

    Example:
        >>> model = NGram({"2": 2, "3": 1, "2 3": 1, "3 2": 1}, order=2, vocab_size=3)
        >>> round(math.exp(model.log_prob([3], 2)), 4), round(math.exp(model.log_prob([], 2)), 4)
        (0.7667, 0.5333)
    """

    def __init__(self, counts: Mapping[str, int], *, order: int, vocab_size: int) -> None:
        if order < 1 or vocab_size < 1:
            raise ValueError(f"order and vocab_size must be at least 1, got {order} and {vocab_size}")
        self.order = order
        self.vocab_size = vocab_size
        self._counts = {tuple(map(int, key.split())): count for key, count in counts.items()}
        self._totals: Counter[tuple[int, ...]] = Counter()
        self._followers: Counter[tuple[int, ...]] = Counter()
        for sequence, count in self._counts.items():
            self._totals[sequence[:-1]] += count
            self._followers[sequence[:-1]] += 1
        self._known: dict[tuple[int, ...], float] = {}

    def log_prob(self, history: Sequence[int], token: int) -> float:
        """Return the logarithm of the probability of ``token`` after ``history``, of which the end is read."""
        used = tuple(history[max(len(history) - self.order + 1, 0) :])
        key = (*used, token)
        if key not in self._known:
            self._known[key] = math.log(self._probability(used, token))
        return self._known[key]

    def _probability(self, history: tuple[int, ...], token: int) -> float:
        shorter = 1 / self.vocab_size if not history else self._probability(history[1:], token)
        total, followers = self._totals[history], self._followers[history]
        if total == 0:
            return shorter
        return (self._counts.get((*history, token), 0) + followers * shorter) / (total + followers)
