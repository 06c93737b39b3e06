"""Whether probabilities are right as often as they say, and the temperature that makes them so."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 15
BOUNDS = (1e-2, 1e2)  # of a temperature


class Reliability(NamedTuple):
    """How often answers are right, by how probable they were called."""

    confidence: Tensor  # (bins,) mean probability; NaN in an empty bin
    accuracy: Tensor  # (bins,) share of right answers
    number: Tensor  # (bins,) of answers

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance between probability and share of right answers."""
        gaps = (self.confidence - self.accuracy).abs().nan_to_num()
        return float((gaps * self.number).sum() / self.number.sum())


def reliability(confidence: Tensor, correct: Tensor, bins: int = BINS) -> Reliability:
    """Compare probabilities with outcomes, in bins of equal width (Naeini et al., 2015; Guo et al., 2017, 1706.04599).

    Args:
        confidence: probability of each answer, ``(n,)``.
        correct: whether it was right, ``(n,)``.
        bins: number of bins.

    Raises:
        ValueError: there is nothing to compare, or shapes differ.

    Example:
        >>> found = reliability(torch.tensor([0.9, 0.9, 0.3]), torch.tensor([True, False, False]))
        >>> round(found.error, 3)
        0.367
    """
    if confidence.shape != correct.shape or confidence.dim() != 1 or not len(confidence):
        raise ValueError(f"there must be an outcome for each probability, got {correct.shape} and {confidence.shape}")
    confidence, correct = confidence.double(), correct.double()
    index = (confidence * bins).long().clamp(max=bins - 1)
    count, sums, right = (torch.zeros(bins, dtype=torch.float64) for _ in range(3))
    count.index_add_(0, index, torch.ones_like(confidence))
    sums.index_add_(0, index, confidence)
    right.index_add_(0, index, correct)
    return Reliability(sums / count, right / count, count)


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    r"""Return the temperature T for which the probabilities ``softmax(logits / T)`` are most likely.

    Guo et al., 2017, On calibration of modern neural networks, arXiv 1706.04599. The negative log-likelihood is convex
    in 1/T, so that its minimum is where its derivative is 0, found by bisection. A temperature above 1 means that the
    model is too sure of itself. It changes no answer, only how sure the model is.

    Args:
        logits: ``(n, classes)``, of data that the model was not trained on.
        targets: classes ``(n,)``; or of labels of which several may hold, 0 or 1, ``(n, labels)``.

    Raises:
        ValueError: the data tell no temperature: every answer is right, or none is better than a guess.

    Example:
        >>> sure = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
        >>> round(fit_temperature(sure, torch.tensor([0, 0, 0, 1])), 2)  # 3 of 4 are right: a logit of log 3
        3.64
    """
    z, one_hot = logits.double(), targets.double()
    if targets.dim() == 1:
        one_hot = F.one_hot(targets.long(), logits.shape[1]).double()

    def slope(inverse: float) -> float:
        p = (inverse * z).softmax(-1) if targets.dim() == 1 else (inverse * z).sigmoid()
        return float(((p - one_hot) * z).sum())

    low, high = 1 / BOUNDS[1], 1 / BOUNDS[0]
    if not slope(low) < 0 < slope(high):
        why = "every answer is right" if slope(high) <= 0 else "the outputs are no better than a guess"
        raise ValueError(f"these {len(logits)} answers tell no temperature from {BOUNDS[0]} to {BOUNDS[1]}: {why}")
    while high / low > 1 + 1e-6:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / (low * high) ** 0.5


def sure(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the probability of each answer and whether it is right: of the best class, or of each label."""
    scaled = logits.double() / temperature
    if targets.dim() == 1:
        best, index = scaled.softmax(-1).max(-1)
        return best, index == targets
    return scaled.sigmoid().flatten(), targets.flatten() > 0.5
