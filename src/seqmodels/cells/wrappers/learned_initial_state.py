"""An initial state that is learned."""

from typing import Any

from torch import Tensor, nn

from seqmodels.cells.base import Cell, State
from seqmodels.cells.wrappers.wrapper import Wrapper, example_input


class LearnedInitialState(Wrapper[State]):
    """Any cell, with an initial state that is a parameter: ``initial.<field>``, one row that all sequences share.

    It starts as the cell's own initial state, zero for every cell of this package.

    Args:
        cell: the cell to wrap; the initial state takes its device and dtype.

    Example:
        >>> from seqmodels.cells import GRUCell
        >>> cell = LearnedInitialState(GRUCell(4, 2))
        >>> torch.nn.init.ones_(cell.initial["h"]).tolist()
        [1.0, 1.0]
        >>> cell.initial_state(torch.zeros(3, 4)).h.tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(self, cell: Cell[State]) -> None:
        super().__init__(cell)
        example: Any = cell.initial_state(example_input(cell))
        self.initial = nn.ParameterDict({name: leaf[0].detach().clone() for name, leaf in example._asdict().items()})

    def is_identity(self) -> bool:
        return True  # project and step are those of the cell

    def initial_state(self, x: Tensor) -> State:
        own: Any = self.cell.initial_state(x)
        rows = {name: self.initial[name].to(leaf.dtype).expand_as(leaf) for name, leaf in own._asdict().items()}
        state: State = type(own)(**rows)
        return state

    def reset_parameters(self) -> None:
        """Draw the parameters of the wrapped cell again; set the initial state to the cell's own."""
        super().reset_parameters()
        example: Any = self.cell.initial_state(example_input(self.cell))
        for name, leaf in example._asdict().items():
            self.initial[name].data.copy_(leaf[0])
