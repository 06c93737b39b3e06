"""Sampling a token from logits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: from the softmax of ``logits / temperature``, restricted to the likeliest tokens.

    Args:
        temperature: 0 always takes the likeliest token; below 1, likely tokens become likelier.
        top_k: draw from this many of the likeliest tokens, and those that tie with the last of them.
        top_p: draw from the smallest set of the likeliest tokens that has this probability.

    Raises:
        ValueError: an option is outside its range.

    Example:
        >>> Sampling(temperature=0).choose(torch.tensor([[0.0, 2.0, 1.0]]))
        tensor([1])
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

    def choose(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Choose a token for each row.

        Args:
            logits: ``(batch, vocab)``.
            generator: source of random numbers; that of PyTorch by default.

        Returns:
            Tokens ``(batch,)``.
        """
        if self.temperature == 0:
            return logits.argmax(-1)
        kept = filtered(logits.float() / self.temperature, top_k=self.top_k, top_p=self.top_p)
        return torch.multinomial(kept.softmax(-1), 1, generator=generator)[:, 0]


def filtered(logits: Tensor, *, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Set the logits of tokens that must not be drawn to minus infinity; the likeliest token is always kept.

    Args:
        logits: ``(..., vocab)``.
        top_k, top_p: as in :class:`Sampling`; ``top_p`` (Holtzman et al., 2020) refers to what ``top_k`` leaves.

    Returns:
        Logits ``(..., vocab)``.

    Example:
        >>> filtered(torch.tensor([0.0, 2.0, 1.0]), top_k=2)
        tensor([-inf, 2., 1.])
    """
    if top_k is not None and top_k < logits.shape[-1]:
        smallest = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # of the likelier tokens
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
        logits = logits.masked_fill(dropped, -torch.inf)
    return logits
