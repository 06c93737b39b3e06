"""Output layers of language models: from features to a logit for each token of a vocabulary.

All are called with the weight of the embedding, ``(vocab, embedding)``, which belongs to the network; only tied logits
use it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearScores(nn.Module):
    """Logits of all tokens, with a weight of their own."""

    def __init__(self, input_size: int, vocab_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, vocab_size)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002  (one signature for all)
        """Return logits ``(..., vocab)`` for ``features (..., size)``."""
        logits: Tensor = self.linear(features)
        return logits

    def losses(self, features: Tensor, targets: Tensor, embedding: Tensor) -> Tensor:
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, size)``."""
        return F.cross_entropy(self(features, embedding), targets, reduction="none")


class TiedScores(nn.Module):
    """Logits of all tokens, with the weight of the embedding (Press and Wolf, 2017; Inan et al., 2017).

    Features that do not have the size of the embedding are first mapped to it linearly.
    """

    def __init__(self, input_size: int, vocab_size: int, embedding_size: int) -> None:
        super().__init__()
        same = input_size == embedding_size
        self.projection = nn.Identity() if same else nn.Linear(input_size, embedding_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Return logits ``(..., vocab)`` for ``features (..., size)``."""
        return F.linear(self.projection(features), embedding, self.bias)

    def losses(self, features: Tensor, targets: Tensor, embedding: Tensor) -> Tensor:
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, size)``."""
        return F.cross_entropy(self(features, embedding), targets, reduction="none")


class AdaptiveScores(nn.Module):
    """Adaptive softmax (Grave et al., 2017), for vocabularies sorted by frequency: its logits are log-probabilities.

    Logits of the tokens before the first cutoff are computed at every step; the others form clusters, computed only
    where the target is one of their tokens, each from a quarter of the features of the cluster before.

    Raises:
        ValueError: ``cutoffs`` do not ascend between 0 and the size of the vocabulary, or are too many.
    """

    def __init__(self, input_size: int, vocab_size: int, cutoffs: Sequence[int]) -> None:
        super().__init__()
        if not cutoffs or list(cutoffs) != sorted({cut for cut in cutoffs if 0 < cut < vocab_size}):
            raise ValueError(f"adaptive_cutoffs must ascend between 0 and vocab_size={vocab_size}, got {list(cutoffs)}")
        needed = 4 ** len(cutoffs)
        if input_size < needed:
            raise ValueError(
                f"adaptive_cutoffs of {len(cutoffs)} clusters need at least {needed} features, "
                f"a quarter of them for each next one, got {input_size}"
            )
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(input_size, vocab_size, list(cutoffs))

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        """Return logits ``(..., vocab)`` for ``features (..., size)``."""
        log_probs: Tensor = self.softmax.log_prob(features.flatten(0, -2)).unflatten(0, features.shape[:-1])
        return log_probs

    def losses(self, features: Tensor, targets: Tensor, embedding: Tensor) -> Tensor:  # noqa: ARG002
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, size)``."""
        log_probs: Tensor = self.softmax(features, targets).output
        return -log_probs


def token_scores(
    input_size: int, vocab_size: int, embedding_size: int, *, tied: bool, cutoffs: Sequence[int] | None
) -> LinearScores | TiedScores | AdaptiveScores:
    """Return the output layer for ``tie_weights`` and ``adaptive_cutoffs`` of a language model.

    Raises:
        ValueError: both are given, or cutoffs do not fit the vocabulary.
    """
    if cutoffs is None:
        return TiedScores(input_size, vocab_size, embedding_size) if tied else LinearScores(input_size, vocab_size)
    if tied:
        raise ValueError("tie_weights and adaptive_cutoffs exclude each other: clusters have weights of their own")
    return AdaptiveScores(input_size, vocab_size, cutoffs)


def wrong_token(tokens: Tensor, vocab_size: int) -> ValueError:
    """Return the error for ``tokens (batch, time)`` of which one is outside the vocabulary; torch does not name it."""
    row, step = ((tokens < 0) | (tokens >= vocab_size)).nonzero()[0].tolist()
    return ValueError(f"a token must be 0 to {vocab_size - 1}, got {int(tokens[row, step])} in row {row}, step {step}")
