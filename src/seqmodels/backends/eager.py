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
        self,
        cell: Cell[Any],
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        projection: Projection | None = None,
        *,
        resets: Tensor | None = None,
        restart: Any = None,
    ) -> tuple[Tensor, Any]:
        projected = (projection or Projection(cell, x))()
        outputs = []
        real = None if lengths is None else length_mask(lengths, x.shape[1])  # (batch, time)
        for t, wx in enumerate(unbind_steps(projected)):
            before = state if resets is None else _where(resets[:, t], restart, state)
            output, after = _step(cell, wx, before)
            state = after if real is None else _where(real[:, t], after, state)
            outputs.append(output)
        y = torch.stack(outputs, dim=1)  # (batch, time, output)
        return y if real is None else y.masked_fill(~real[..., None], 0), state


def _step(cell: Cell[Any], wx: Any, state: Any) -> tuple[Tensor, Any]:
    """Return what a step returns; a tensor in its place could be unpacked along its rows."""
    result: Any = cell.step(wx, state)
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise ValueError(f"{type(cell).__name__}.step must return (output, state), got {type(result).__name__}")


def _where(rows: Tensor, one: Any, other: Any) -> Any:
    """Return a state that is ``one`` in the rows ``(batch,)`` that are true, the ``other`` in the rest."""
    return map_leaves(lambda a, b: torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b), one, other)
