"""The definition of unrolling: a Python loop over steps. Every other back-end is tested against it."""

from typing import Any

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.sequence import at_step, length_mask, map_leaves


class Eager:
    """A Python loop over ``cell.step``: any cell, any device, any dtype, any order of derivative."""

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        return None

    def __call__(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        wx = cell.project(x)
        real = None if lengths is None else length_mask(lengths, x.shape[1])  # (batch, time)
        outputs = []
        for t in range(x.shape[1]):
            output, new_state = cell.step(at_step(wx, t), state)
            state = new_state if real is None else _advance(real[:, t], new_state, state)
            outputs.append(output)
        y = torch.stack(outputs, dim=1)  # (batch, time, output)
        return y if real is None else y.masked_fill(~real[..., None], 0), state


def _advance(real: Tensor, new: Any, old: Any) -> Any:
    """Take the new state in the rows that are still ``real (batch,)``, the old one in the others."""
    return map_leaves(lambda n, o: torch.where(real.view(-1, *[1] * (n.dim() - 1)), n, o), new, old)
