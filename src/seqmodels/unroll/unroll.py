"""``unroll``: a cell, a sequence, a back-end."""

from typing import Any

from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.sequence import reverse as reverse_time
from seqmodels.unroll.backend import Backend
from seqmodels.unroll.eager import Eager

BACKENDS: dict[str, Backend] = {"eager": Eager()}


def unroll(
    cell: Cell[Any],
    x: Tensor,
    state: Any = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Any]:
    """Run ``cell`` over ``x (batch, time, input)``; return outputs ``(batch, time, output)`` and the final state."""
    state = cell.initial_state(x[:, 0]) if state is None else state
    x = reverse_time(x, lengths) if reverse else x
    y, state = BACKENDS["eager"](cell.bare(), x, state, lengths)
    return (reverse_time(y, lengths) if reverse else y), state
