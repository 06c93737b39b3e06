"""Writing token by token."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""Reads a token of each row, ``(batch,)``, from a state; returns scores ``(batch, vocab)`` of the next, and a state."""


def generate(
    step: Step, scores: Tensor, state: Any, *, length: int, choose: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Yield ``length`` times a token for each row, ``(batch,)``, each as soon as it is chosen.

    A token costs one step, however many were written before: all that is known of them is in the state.

    Args:
        step: the model.
        scores: ``(batch, vocab)`` of the first token, from whatever was read before.
        state: after what was read before.
        length: number of tokens of each row.
        choose: tokens ``(batch,)`` from scores, as :meth:`~seqmodels.decoding.Sampling.choose` does.
    """
    for left in range(length, 0, -1):
        with torch.inference_mode():
            tokens = choose(scores)
        yield tokens
        if left > 1:
            with torch.inference_mode():
                scores, state = step(tokens, state)
