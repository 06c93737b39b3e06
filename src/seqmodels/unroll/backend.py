"""What every back-end offers."""

from typing import Any, Protocol

from torch import Tensor

from seqmodels.cells.base import Cell


class Backend(Protocol):
    """One way to run a cell over a sequence."""

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why this back-end cannot run ``cell`` over ``x (batch, time, input)``, or None when it can."""
        ...

    def __call__(self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        """Run ``cell`` over ``x``; return outputs ``(batch, time, output)`` and the state after each last real step."""
        ...
