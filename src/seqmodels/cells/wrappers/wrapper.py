"""What all wrappers share: they change how a cell steps and are cells themselves."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from seqmodels.cells.base import Cell, Device, DType, Projected, State


class Wrapper(Cell[State]):
    """Base of cells that wrap a cell. Wrappers nest in any order; each adds one thing and delegates the rest.

    Args:
        cell: the cell to wrap.

    Raises:
        TypeError: ``cell`` is not a :class:`~seqmodels.cells.Cell`.

    Example:
        >>> from seqmodels.cells import GRUCell, LearnedInitialState, Zoneout
        >>> cell = LearnedInitialState(Zoneout(GRUCell(4, 5), {"h": 0.1}))
        >>> cell.core
        GRUCell(4, 5)
    """

    def __init__(self, cell: Cell[State]) -> None:
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
    def core(self) -> Cell[State]:
        """The innermost cell, which holds the weights."""
        return self.cell.core if isinstance(self.cell, Wrapper) else self.cell

    def is_identity(self) -> bool:
        """Return whether this wrapper changes nothing right now, so that :meth:`effective` may leave it out."""
        return False

    def effective(self) -> Cell[State]:
        return self.cell.effective() if self.is_identity() else self

    def initial_state(self, x: Tensor) -> State:
        return self.cell.initial_state(x)

    def project(self, x: Tensor) -> Projected:
        return self.cell.effective().project(x)

    def step(self, wx: Projected, state: State) -> tuple[Tensor, State]:
        return self.cell.effective().step(wx, state)

    def reset_parameters(self) -> None:
        """Draw the parameters of the wrapped cell again."""
        self.cell.reset_parameters()

    def extra_repr(self) -> str:
        return ""


def wrapped(
    input_size: int,
    *,
    factory: Callable[..., Cell[State]],
    wrappers: Mapping[str, Callable[[Cell[State]], Cell[State]]],
    hidden_size: int | None = None,
    device: Device = None,
    dtype: DType = None,
) -> Cell[State]:
    """Build a cell and wrap it, the first wrapper innermost.

    Args:
        input_size: size of the input.
        factory: called with ``input_size`` and with those of the options below that are given; returns a cell.
        wrappers: functions from a cell to a cell, by names that only configurations use.
        hidden_size, device, dtype: options for ``factory``.

    Returns:
        The outermost cell.

    Example:
        >>> from functools import partial
        >>> from seqmodels.cells import LSTMCell, RecurrentDropout
        >>> wrapped(4, factory=LSTMCell, wrappers={"dropout": partial(RecurrentDropout, p=0.2)}, hidden_size=5)
        RecurrentDropout(
          p=0.2
          (cell): LSTMCell(4, 5)
        )
    """
    options = {"hidden_size": hidden_size, "device": device, "dtype": dtype}
    cell = factory(input_size, **{name: value for name, value in options.items() if value is not None})
    for wrapper in wrappers.values():
        cell = wrapper(cell)
    return cell


def example_input(cell: Cell[State]) -> Tensor:
    """Return zeros ``(1, input)`` on the device and in the dtype of the parameters of ``cell``."""
    parameter = next(cell.parameters(), None)
    return torch.zeros(1, cell.input_size) if parameter is None else parameter.new_zeros(1, cell.input_size)


def check_probability(name: str, p: float, *, below_one: bool = False) -> float:
    """Return ``p`` as a float, or raise ``ValueError`` where it is not a probability (of less than one)."""
    if not 0 <= p <= 1 or (below_one and p == 1):
        raise ValueError(f"{name} must lie in [0, 1{')' if below_one else ']'}, got {p}")
    return float(p)
