"""The signature that all sequence layers share."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class SequenceLayer(nn.Module, ABC):
    """Maps ``x (batch, time, input)`` to ``y (batch, time, output)``; past a sequence's length ``y`` is 0.

    Layers of one's own subclass it: they then stack with all others.
    """

    input_size: int
    output_size: int
    backward_size: int = 0
    """How many of the last outputs come from a reader that goes from a sequence's end to its start: such a reader has
    seen the whole sequence at step 0, not at the last one."""

    @abstractmethod
    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Return outputs and the state after each sequence's last real step; ``()`` where there is none to carry."""


def states_of(state: Any, count: int, rule: str) -> tuple[Any, ...]:
    """Return ``state``, one part for each of ``count`` layers; parts of None where it is None.

    Raises:
        ValueError: it is no tuple of ``count`` parts; ``rule`` says what they are.
    """
    if state is None:
        return (None,) * count
    if isinstance(state, tuple) and len(state) == count:
        return state
    outline = f"{type(state).__name__} of {len(state)}" if isinstance(state, tuple) else type(state).__name__
    raise ValueError(f"state must be a tuple of {rule}, got {outline}")
