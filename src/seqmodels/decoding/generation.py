"""Generating token by token."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""From a token per row, ``(batch,)``, and a state to logits ``(batch, vocab)`` of the next token, and a new state."""


def generate(
    step: Step, logits: Tensor, state: Any, *, length: int, choose: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Generate tokens, each as soon as it is chosen.

    A token costs one step, however many came before it: the state holds all that the model knows of them.

    Args:
        step: the model, as ``LanguageModel.step``.
        logits: ``(batch, vocab)`` of the first token, after the prompt.
        state: the model's state after the prompt.
        length: number of tokens per row.
        choose: from logits to tokens ``(batch,)``, as :meth:`~seqmodels.decoding.Sampling.choose`.

    Yields:
        A token for each row, ``(batch,)``, ``length`` times.

    Example:
        >>> def next_letter(tokens, state):
        ...     return torch.eye(5)[(tokens + 1) % 5], state
        >>> tokens = generate(next_letter, torch.eye(5)[:1], (), length=4, choose=lambda logits: logits.argmax(-1))
        >>> [int(token) for token in tokens]
        [0, 1, 2, 3]
    """
    for left in range(length, 0, -1):
        with torch.inference_mode():
            tokens = choose(logits)
        yield tokens
        if left > 1:
            with torch.inference_mode():
                logits, state = step(tokens, state)
