"""A cell with any attributes, objects for them, and what a guard must do when they change."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.cells import Cell, LSTMCell, RecurrentDropout, Zoneout
from seqmodels.fusion.guards import Inspection, inspect

SIZE = 3


class State(NamedTuple):
    h: Tensor


class Plain(Cell[State]):
    """A user's cell with any attributes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.input_size = self.hidden_size = SIZE
        self.a, self.b = nn.Parameter(torch.zeros(SIZE, SIZE)), nn.Parameter(torch.zeros(SIZE, SIZE))
        for name, value in attributes.items():
            setattr(self, name, value)

    def initial_state(self, x: Tensor) -> State:
        return State(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, wx: Tensor, state: State) -> tuple[Tensor, State]:
        h = self.advance(wx, state.h)
        return h, State(h)

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return wx + h @ self.a


@dataclasses.dataclass
class Config:
    slope: Any = 0.1


class Slotted:
    __slots__ = ("gain", "other")

    def __init__(self) -> None:
        self.gain = 1.0


class Mode(enum.Enum):
    ONE = "one"
    TWO = "two"


def scaled_by(gain: Any) -> Callable[[Tensor], Tensor]:
    return lambda v: v * gain


def assert_noticed(cell: nn.Module, change: Callable[[], object]) -> None:
    before = inspect(cell)
    assert accepts(before, cell)
    change()
    assert before.guard(cell) is None
    after = inspect(cell)
    assert accepts(after, cell)
    assert after.digest != before.digest


def accepts(found: Inspection, cell: nn.Module) -> bool:
    tensors = found.guard(cell)
    return tensors is not None and all(a is b for a, b in zip(tensors, found.tensors + found.outside, strict=True))


def stack() -> Zoneout:
    return Zoneout(RecurrentDropout(LSTMCell(2, SIZE), 0.2), {"h": 0.1, "c": 0.5})
