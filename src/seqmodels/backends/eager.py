"""The definition of unrolling: a Python loop over steps. Every other back-end is tested against it."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.backends.backend import Projection
from seqmodels.cells.base import Cell
from seqmodels.sequence import length_mask, map_leaves, unbind_steps


class Eager:
    """A Python loop over ``cell.step``: any cell, any device, any dtype, any order of derivative."""

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        del cell, x  # nothing is refused: this is the definition
        return None

    def __call__(
        self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None, projection: Projection | None = None
    ) -> tuple[Tensor, Any]:
        projected = (projection or Projection(cell, x))()
        outputs = []
        if lengths is None:
            for wx in unbind_steps(projected):
                output, state = _step(cell, wx, state)
                outputs.append(output)
            return torch.stack(outputs, dim=1), state  # (batch, time, output)
        real = length_mask(lengths, x.shape[1])[..., None]  # (batch, time, 1)
        for wx, real_now in zip(unbind_steps(projected), real.unbind(1), strict=True):
            output, new_state = _step(cell, wx, state)
            state = _advance(real_now, new_state, state)
            outputs.append(output)
        return torch.stack(outputs, dim=1).masked_fill(~real, 0), state


def _step(cell: Cell[Any], wx: Any, state: Any) -> tuple[Tensor, Any]:
    """Return what a step returns; a tensor in its place could be unpacked along its rows."""
    result: Any = cell.step(wx, state)
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise ValueError(f"{type(cell).__name__}.step must return (output, state), got {type(result).__name__}")


def _advance(real: Tensor, new: Any, old: Any) -> Any:
    """Return the new state in the rows that are still ``real (batch, 1)``, the old one in the others."""
    return map_leaves(lambda n, o: torch.where(real.view(-1, *[1] * (n.dim() - 1)), n, o), new, old)
