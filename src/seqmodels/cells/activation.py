"""Pointwise functions by the names that cells and configurations use."""

from collections.abc import Callable

import torch
from torch import Tensor

from seqmodels.errors import nearest


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
    """Return ``name`` if it is a known activation, or raise ``ValueError`` with the closest one that is."""
    if name in ACTIVATIONS:
        return name
    raise ValueError(f"{argument} must be one of {', '.join(ACTIVATIONS)}, got {name!r}{nearest(name, ACTIVATIONS)}")
