"""An initial state that is learned."""

from typing import Any

from torch import Tensor, nn

from seqmodels.cells.base import Cell
from seqmodels.cells.wrappers.wrapper import Wrapper, example_input


class LearnedInitialState(Wrapper):
    """Any cell, with an initial state that is a parameter: ``initial.<field>``, one row that all sequences share.

    It starts as the cell's own initial state, zero for every cell of this package.
    """

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__(cell)
        example = cell.initial_state(example_input(cell))
        self.initial = nn.ParameterDict({name: leaf[0].detach().clone() for name, leaf in example._asdict().items()})

    def idle(self) -> bool:
        return True  # it has no part in project and step

    def initial_state(self, x: Tensor) -> Any:
        state = self.cell.initial_state(x)
        rows = {name: self.initial[name].to(leaf.dtype).expand_as(leaf) for name, leaf in state._asdict().items()}
        return type(state)(**rows)

    def reset_parameters(self) -> None:
        """Draw the parameters of the wrapped cell anew; the initial state is its own."""
        super().reset_parameters()
        for name, leaf in self.cell.initial_state(example_input(self.cell))._asdict().items():
            self.initial[name].data.copy_(leaf[0])
