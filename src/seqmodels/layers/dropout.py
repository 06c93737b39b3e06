"""Dropout over time."""

import torch
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Dropout with one mask for all steps of a sequence (Gal and Ghahramani, 2016, arXiv 1512.05287).

    Zeroes each feature of ``x (batch, time, features)`` with probability ``p``, at every step of a sequence alike, and
    scales the others by 1 / (1 - p). ``nn.Dropout`` draws a new mask at each step, which averages out over time.

    Args:
        p: probability that a feature is zeroed.

    Raises:
        ValueError: ``p`` is outside [0, 1).

    Example:
        >>> y = LockedDropout(0.5)(torch.ones(3, 7, 4))
        >>> bool((y == y[:, :1]).all())
        True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be a probability in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        mask = torch.empty_like(x[:, :1]).bernoulli_(1 - self.p) / (1 - self.p)  # (batch, 1, features)
        return x * mask

    def extra_repr(self) -> str:
        return f"p={self.p}"
