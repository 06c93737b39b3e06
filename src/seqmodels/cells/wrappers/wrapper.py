"""What wrappers over cells share: they change how a cell steps and are cells themselves."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from seqmodels.cells.base import Cell, Projected


class Wrapper(Cell[Any]):
    """A cell around a cell, a user's own too. Wrappers nest in any order; each adds one thing and delegates the rest.

    Raises:
        TypeError: ``cell`` is not a :class:`~seqmodels.cells.Cell`.
    """

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise TypeError(f"cell must be a Cell, got {type(cell).__name__}")
        self.cell = cell
        self.input_size = cell.input_size
        self.hidden_size = cell.hidden_size
        self.gates = cell.gates

    @property
    def output_size(self) -> int:
        return self.cell.output_size

    @property
    def core(self) -> Cell[Any]:
        """The innermost cell, which holds the weights."""
        return self.cell.core if isinstance(self.cell, Wrapper) else self.cell

    def idle(self) -> bool:
        """Return whether there is nothing to do right now, so that :meth:`bare` may leave this wrapper out."""
        return False

    def bare(self) -> Cell[Any]:
        return self.cell.bare() if self.idle() else self

    def initial_state(self, x: Tensor) -> Any:
        return self.cell.initial_state(x)

    def project(self, x: Tensor) -> Projected:
        return self.cell.bare().project(x)

    def step(self, wx: Projected, state: Any) -> tuple[Tensor, Any]:
        return self.cell.bare().step(wx, state)

    def reset_parameters(self) -> None:
        """Draw the parameters of the wrapped cell anew."""
        self.cell.reset_parameters()

    def extra_repr(self) -> str:
        return ""


def wrapped(
    input_size: int,
    *,
    factory: Callable[..., Cell[Any]],
    wrappers: Mapping[str, Callable[[Cell[Any]], Cell[Any]]],
    hidden_size: int | None = None,
) -> Cell[Any]:
    """Build ``factory(input_size)``, with ``hidden_size`` where one is given, and put it into each wrapper in order.

    The names of ``wrappers`` are for configurations to tell them apart.
    """
    cell = factory(input_size) if hidden_size is None else factory(input_size, hidden_size=hidden_size)
    for wrapper in wrappers.values():
        cell = wrapper(cell)
    return cell


def example_input(cell: Cell[Any]) -> Tensor:
    """Return zeros ``(1, input)`` on the device and in the dtype of the parameters of ``cell``."""
    parameter = next(cell.parameters(), None)
    return torch.zeros(1, cell.input_size) if parameter is None else parameter.new_zeros(1, cell.input_size)


def check_probability(name: str, p: float, *, below_one: bool = False) -> float:
    """Return ``p`` as a float, or raise ``ValueError`` where it is not a probability (of less than one)."""
    if not 0 <= p <= 1 or (below_one and p == 1):
        raise ValueError(f"{name} must lie in [0, 1{')' if below_one else ']'}, got {p}")
    return float(p)
