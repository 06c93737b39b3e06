"""The cells that gradients are followed through: every published one, wrappers, and one as a user may write it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.cells import ALL_CELLS, Cell, LSTMCell
from tests.cells.conftest import WRAPPERS

BATCH, TIME, INPUT, HIDDEN = 3, 7, 2, 5
LENGTHS = (7, 1, 4)


class AgeingState(NamedTuple):
    inner: tuple[Tensor, Tensor]  # each (batch, hidden); a nested state
    age: Tensor  # (batch, 1) int64, which has no derivative


class AgeingCell(Cell[AgeingState]):
    """Has a nested state with a counter in it, an output that is no part of its state, and a weight of its own."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.set_sizes(input_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)
        self.read = nn.Linear(input_size, hidden_size)

    def initial_state(self, x: Tensor) -> AgeingState:
        return AgeingState((self.zeros(x), self.zeros(x)), torch.zeros(len(x), 1, dtype=torch.int64, device=x.device))

    def project(self, x: Tensor) -> Tensor:
        return self.read(x)

    def step(self, wx: Tensor, state: AgeingState) -> tuple[Tensor, AgeingState]:
        (fast, slow), age = state
        fast = torch.tanh(wx + fast @ self.weight / (1 + 0.1 * age)) * slow.cos()
        slow = 0.9 * slow + 0.1 * fast
        return torch.sin(fast + slow), AgeingState((fast, slow), age + 1)


CELLS: dict[str, Callable[[], Cell[Any]]] = {
    **{kind.__name__: lambda kind=kind: kind(INPUT, HIDDEN) for kind in ALL_CELLS},  # type: ignore[misc]
    **{name: lambda wrap=wrap: wrap(LSTMCell(INPUT, HIDDEN)) for name, wrap in WRAPPERS.items()},  # type: ignore[misc]
    "AgeingCell": lambda: AgeingCell(INPUT, HIDDEN),
}


def drawn(name: str) -> Cell[Any]:
    """Return a cell in float64 with every parameter drawn, in training mode."""
    cell = CELLS[name]().double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-0.9, 0.9)
    return cell
