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
    """One way to run a cell over a sequence.

    Example:
        >>> from seqmodels.backends import BACKENDS
        >>> from seqmodels.cells import GRUCell
        >>> BACKENDS["scan"].refuses(GRUCell(4, 5), torch.zeros(3, 7, 4))
        'GRUCell is not linear in its state (no LinearCell), so its steps cannot be joined'
    """

    def refuses(self, cell: Cell[Any], x: Tensor) -> str | None:
        """Return why this back-end cannot run ``cell`` over ``x (batch, time, input)``, or None if it can."""
        ...

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
        """Run ``cell`` over a batch of sequences whose padding is finite.

        Args:
            cell: the cell, not a wrapper that changes nothing.
            x: inputs ``(batch, time, input)``.
            state: the state before the first step.
            lengths: number of real steps of each sequence, on the device of ``x``; None if there is no padding.
            projection: the projected input, where another back-end may have computed it.
            resets: bool ``(batch, time)`` on the device of ``x``, set where a row begins again from ``restart``, maybe
                in its first step; never past its length. None if no row does.
            restart: a state like ``state``; None with ``resets`` None.

        Returns:
            Outputs ``(batch, time, output)``, 0 past a length, and the state after each sequence's last real step.

        Raises:
            Refused: this back-end cannot run the cell, or not with resets; no code of the cell has run except through
                ``projection``.
        """
        ...
