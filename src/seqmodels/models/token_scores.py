"""From what a network puts out at a step to a score for each token of a vocabulary."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class TokenScores(nn.Module):
    """Logits of all tokens, or log-probabilities through clusters of rare ones where ``cutoffs`` are given.

    Args:
        input_size: features of a step.
        vocab_size: number of tokens.
        tied: the embedding whose weight ``(vocab, embedding)`` the scores share (Press and Wolf, 2017; Inan et al.,
            2017); features of another size pass through a linear map to that of the embedding first.
        cutoffs: adaptive softmax (Grave et al., 2017): tokens up to the first are scored at every step, the rest in
            clusters of a quarter of the size each. The vocabulary must be sorted by frequency.

    Raises:
        ValueError: both are asked for, or cutoffs do not ascend between 0 and the size of the vocabulary.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        *,
        tied: nn.Embedding | None = None,
        cutoffs: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if tied is not None and cutoffs is not None:
            raise ValueError("tie_weights and adaptive_cutoffs exclude each other: clusters have weights of their own")
        self.projection: nn.Linear | None = None
        self.adaptive: nn.AdaptiveLogSoftmaxWithLoss | None = None
        self.linear: nn.Linear | None = None
        if cutoffs is not None:
            if list(cutoffs) != sorted({cut for cut in cutoffs if 0 < cut < vocab_size}) or not cutoffs:
                raise ValueError(f"adaptive_cutoffs must ascend between 0 and vocab_size={vocab_size}, got {cutoffs}")
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(input_size, vocab_size, list(cutoffs))
            return
        if tied is not None and tied.embedding_dim != input_size:
            self.projection = nn.Linear(input_size, tied.embedding_dim, bias=False)
        self.linear = nn.Linear(input_size if tied is None else tied.embedding_dim, vocab_size)
        if tied is not None:
            self.linear.weight = tied.weight

    def forward(self, features: Tensor) -> Tensor:
        """Return scores ``(..., vocab)`` of ``features (..., size)`` whose softmax are the probabilities."""
        if self.adaptive is not None:
            return self.adaptive.log_prob(features.flatten(0, -2)).unflatten(0, features.shape[:-1])
        assert self.linear is not None
        return self.linear(features if self.projection is None else self.projection(features))

    def losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-probability ``(n,)`` of each of the ``targets (n,)`` for ``features (n, size)``."""
        if self.adaptive is not None:
            return -self.adaptive(features, targets).output
        return F.cross_entropy(self(features), targets, reduction="none")
