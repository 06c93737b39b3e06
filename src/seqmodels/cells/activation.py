"""Pointwise functions by the names that cells and configurations use."""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import Tensor


def identity(x: Tensor) -> Tensor:
    """Return ``x``."""
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": identity,
}


def check_activation(name: str, argument: str = "activation") -> str:
    """Return ``name`` if it is a known activation.

    Raises:
        ValueError: it is not; the message has the nearest one that is.
    """
    if name in ACTIVATIONS:
        return name
    nearest = get_close_matches(str(name), ACTIVATIONS, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{argument} must be one of {', '.join(ACTIVATIONS)}, got {name!r}{hint}")
