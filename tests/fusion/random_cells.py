"""Small cells drawn at random: products in sequence and in parallel, and pointwise graphs between them.

:class:`PlainCell` holds what every executor must take; ``VariedCell``, in ``varied_cells.py``, all else that users
write into a step. What both draw from is in ``random_operators.py`` and ``random_gradients.py``, a line an operator.
Drawing is apart from the cells, so that a step reaches no more code than it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels.cells import Cell
from tests.fusion.random_gradients import PRODUCTS
from tests.fusion.random_operators import BINARY, UNARY

INPUT = 4


class OneField(NamedTuple):
    a: Tensor


class TwoFields(NamedTuple):
    a: Tensor
    b: Tensor


class ThreeFields(NamedTuple):
    a: Tensor
    b: Tensor
    c: Tensor


class Instruction(NamedTuple):
    """What a step does next."""

    text: str
    run: Callable[..., list[Tensor]]
    arguments: tuple[Any, ...]


STATES: tuple[Any, ...] = (OneField, TwoFields, ThreeFields)


class RandomCell(Cell[Any]):
    """A cell whose step is a list of instructions; each appends values to a list."""

    fields: tuple[int, ...]
    inputs: tuple[int, ...]
    program: list[Instruction]
    ends: tuple[int, ...]
    output: tuple[int, ...]
    projection: nn.Linear
    output_size = 0  # set on each cell

    def initial_state(self, x: Tensor) -> Any:
        return STATES[len(self.fields) - 1](*(self.zeros(x, width) for width in self.fields))

    def project(self, x: Tensor) -> Any:
        return self.projection(x)

    def step(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
        values = [*state, *wx.split(self.inputs, -1)]
        for _, run, arguments in self.program:
            values += run(self, values, *arguments)
        new = type(state)(*(torch.tanh(values[i]) for i in self.ends))
        return torch.cat([values[i] for i in self.output], -1), new

    def extra_repr(self) -> str:
        program = [(text, *(each for each in arguments if not callable(each))) for text, _, arguments in self.program]
        return f"fields={self.fields}, inputs={self.inputs}, {program}, ends={self.ends}, output={self.output}"


class Draft(ABC):
    """Draws what a cell computes, with a seed."""

    widths_of_fields: tuple[int, ...]

    def __init__(self, seed: int, cell: RandomCell) -> None:
        torch.manual_seed(seed)
        self.cell, self.random = cell, Random(seed)
        draw = self.random
        cell.input_size = INPUT
        cell.fields = self.fields = tuple(draw.choice(self.widths_of_fields) for _ in range(draw.randint(1, 3)))
        cell.hidden_size = self.fields[0]
        inputs = tuple(draw.choice((1, *self.widths_of_fields[1:])) for _ in range(draw.randint(1, 2)))
        cell.inputs = inputs + self.fields[:1]
        cell.projection = nn.Linear(INPUT, sum(cell.inputs))
        self.widths = [*self.fields, *cell.inputs]
        cell.program = []
        self.draw()
        cell.ends = tuple(self.late(width) for width in self.fields)
        cell.output = tuple(draw.choice(range(len(self.fields), len(self.widths))) for _ in range(draw.randint(1, 2)))
        cell.output_size = sum(self.widths[i] for i in cell.output)

    @abstractmethod
    def draw(self) -> None:
        """Draw the program."""

    def append(self, width: int, text: str, run: Callable[..., list[Tensor]], *arguments: Any) -> None:
        self.cell.program.append(Instruction(text, run, arguments))
        self.widths.append(width)

    def parameter(self, *shape: int) -> str:
        name = f"parameter_{len(self.cell._parameters)}"
        self.cell.register_parameter(name, nn.Parameter(torch.randn(shape) / max(shape) ** 0.5))
        return name

    def product(self, spellings: tuple[str, ...] = ("F.linear",)) -> None:
        draw = self.random
        operands = tuple(draw.choice(range(len(self.widths))) for _ in range(draw.choice((1, 1, 2))))
        depth = sum(self.widths[i] for i in operands)
        gates = tuple(draw.choice((*self.fields, 1, 7)) for _ in range(draw.randint(1, 3)))
        matrices = [(n, p.shape) for n, p in self.cell.named_parameters(recurse=False) if p.dim() == 2]
        old = [name for name, (rows, columns) in matrices if columns == depth and rows >= sum(gates)]
        shared = bool(old) and draw.random() < 0.5
        spare = draw.choice((0, 0, 4))
        weight = draw.choice(old) if shared else self.parameter(sum(gates) + spare, depth)
        bias = self.parameter(sum(gates)) if draw.random() < 0.5 else None
        spelling = spellings[0] if len(spellings) == 1 else draw.choice(spellings)
        details = (PRODUCTS[spelling], operands, (weight, bias), gates)
        self.cell.program.append(Instruction(spelling, product, details))
        self.widths += gates

    def late(self, width: int) -> int:
        """Return one of the last values of a width."""
        return self.random.choice([i for i, w in enumerate(self.widths) if w == width][-3:])


def product(
    cell: RandomCell, values: list[Tensor], spelled: Any, operands: tuple[int, ...], *rest: Any
) -> list[Tensor]:
    (weight, bias), gates = rest
    operand, rows = torch.cat([values[i] for i in operands], -1), getattr(cell, weight)[: sum(gates)]
    if spelled is F.linear:
        return list(F.linear(operand, rows, None if bias is None else getattr(cell, bias)).split(gates, -1))
    result = spelled(operand, rows)
    return list((result if bias is None else result + getattr(cell, bias)).split(gates, -1))


def one(cell: RandomCell, values: list[Tensor], function: Any, first: int) -> list[Tensor]:
    return [function(values[first])]


def two(cell: RandomCell, values: list[Tensor], function: Any, first: int, second: int) -> list[Tensor]:
    return [function(values[first], values[second])]


def vector(cell: RandomCell, values: list[Tensor], function: Any, first: int, name: str) -> list[Tensor]:
    return [function(values[first], getattr(cell, name))]


class PlainCell(RandomCell):
    """Products with parameters, pointwise operators, sums along a row: never refused."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        PlainDraft(seed, self)


class PlainDraft(Draft):
    widths_of_fields = (2, 3, 5, 19)

    def draw(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.product()
            for _ in range(self.random.randint(1, 5)):
                self.pointwise()

    def pointwise(self) -> None:
        draw = self.random
        first = draw.choice(range(len(self.widths)))
        width = self.widths[first]
        kind = draw.choice(("unary", "binary", "binary", "vector"))
        if kind == "unary":
            name = draw.choice(sorted(UNARY))
            self.append(width, name, one, UNARY[name], first)
        elif kind == "binary":
            others = [i for i, w in enumerate(self.widths) if w in (width, 1)]
            name = draw.choice(sorted(BINARY))
            self.append(width, name, two, BINARY[name], first, draw.choice(others))
        else:
            name = draw.choice(("add", "mul", "chosen"))
            self.append(width, name, vector, BINARY[name], first, self.parameter(width))
