"""The interface of back-ends."""

from typing import Any, Protocol

from torch import Tensor

from seqmodels.cells.base import Cell


class Projection:
    """``cell.project`` of a whole sequence, computed once, when a back-end first asks for it.

    A back-end that refuses a cell only after that passes the result on to the next one.
    """

    def __init__(self, cell: Cell[Any], x: Tensor) -> None:
        self.cell, self.x = cell, x
        self.known: tuple[Any] | None = None

    def __call__(self) -> Any:
        """Return what ``cell.project`` returned, leaves ``(batch, time, ...)``."""
        if self.known is None:
            self.known = (self.cell.project(self.x),)
        return self.known[0]


class Backend(Protocol):
    """One way to run a cell over a sequence."""

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why this back-end cannot run ``cell`` over ``x (batch, time, input)``, or None when it can."""
        ...

    def __call__(
        self, cell: Cell[Any], x: Tensor, state: Any, lengths: Tensor | None, projection: Projection | None = None
    ) -> tuple[Tensor, Any]:
        """Run ``cell`` over ``x``; return outputs ``(batch, time, output)`` and the state after each last real step.

        Raises:
            Refused: this back-end cannot run the cell; no code of the cell has run except through ``projection``.
        """
        ...
