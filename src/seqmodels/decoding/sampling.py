"""The choice of a token from scores."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: from the softmax of ``scores / temperature``, over the likeliest tokens alone.

    Args:
        temperature: 0 takes the likeliest token, below 1 the likely become likelier.
        top_k: draw among this many of the likeliest; those that tie with the last of them are in, too.
        top_p: draw among the fewest of the likeliest that together have this probability.

    Raises:
        ValueError: an option is outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must not be negative or infinite, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")

    def choose(self, scores: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return one token ``(batch,)`` for each row of ``scores (batch, vocab)``."""
        if self.temperature == 0:
            return scores.argmax(-1)
        kept = filtered(scores.float() / self.temperature, top_k=self.top_k, top_p=self.top_p)
        return torch.multinomial(kept.softmax(-1), 1, generator=generator)[:, 0]


def filtered(scores: Tensor, *, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Return ``scores (..., vocab)`` with minus infinity for tokens that shall not be drawn; the likeliest always may.

    ``top_k`` is looked at first, ``top_p`` then at the probabilities of what is left (Holtzman et al., 2020).
    """
    if top_k is not None and top_k < scores.shape[-1]:
        least = scores.topk(top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # of all that are likelier
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
        scores = scores.masked_fill(dropped, -torch.inf)
    return scores
