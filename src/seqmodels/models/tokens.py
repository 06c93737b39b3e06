"""Tokens that a network has no vector for."""

from torch import Tensor


def wrong_token(tokens: Tensor, vocab_size: int) -> ValueError:
    """Return the error for ``tokens (batch, time)`` of which one is outside the vocabulary: torch names none."""
    row, step = ((tokens < 0) | (tokens >= vocab_size)).nonzero()[0].tolist()
    return ValueError(f"a token must be 0 to {vocab_size - 1}, got {int(tokens[row, step])} in row {row}, step {step}")
