"""A layer as a program of its own: from the raw input of a step to its output, with all weights as numbers."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.cells.base import Cell
from seqmodels.errors import Refused
from seqmodels.fusion.guards import inspect
from seqmodels.fusion.plan import derived
from seqmodels.fusion.program import Program
from seqmodels.fusion.values import width
from seqmodels.sequence import leaves


@dataclass(frozen=True)
class Traced:
    """One step of a layer: its program has one stream, the input, and one output.

    Attributes:
        program: what a step computes, the product with the input included.
        weights: matrices, by the number in ``Product.weight``.
        vectors: rows ``(width,)``, by number.
        initial: the carries before the first step, side by side ``(carry,)``.
    """

    program: Program
    weights: list[Tensor]
    vectors: list[Tensor]
    initial: Tensor

    @property
    def input_size(self) -> int:
        return self.program.streams[0]

    @property
    def output_size(self) -> int:
        return width(self.program.outputs[0])


class _Nothing(NamedTuple):
    """The state of a layer that has none."""


class _WholeStep(Cell[Any]):
    """A cell whose step begins with the raw input, so that one program holds all of it."""

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__()
        self.cell = cell
        self.input_size, self.hidden_size = cell.input_size, cell.hidden_size

    def initial_state(self, x: Tensor) -> Any:
        return self.cell.initial_state(x)

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.cell.step(self.cell.project(wx), state)


class _Stateless(Cell[_Nothing]):
    """A function of each step alone."""

    def __init__(self, function: nn.Module, input_size: int) -> None:
        super().__init__()
        self.function = function
        self.input_size = self.hidden_size = input_size

    def initial_state(self, x: Tensor) -> _Nothing:  # noqa: ARG002
        return _Nothing()

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, wx: Tensor, state: _Nothing) -> tuple[Tensor, _Nothing]:
        return self.function(wx), state


def traced_cell(cell: Cell[Any]) -> Traced:
    """Derive the program of a cell in evaluation mode, float32.

    Raises:
        Refused: the step cannot be expressed, or the initial state depends on the input; the message says what.
    """
    own = copy.deepcopy(cell).float().cpu().eval()
    with torch.no_grad():
        one, other = (_flat(own.initial_state(x.expand(1, own.input_size))) for x in torch.tensor([[1.0], [0.0]]))
    if not torch.equal(one, other):
        raise Refused(f"the initial state of a {type(cell).__name__} depends on its input")
    return _traced(_WholeStep(own.effective()), one)


def traced_function(function: nn.Module, input_size: int) -> Traced:
    """Derive the program of a module ``(batch, input) -> (batch, output)`` in evaluation mode, float32.

    Raises:
        Refused: it cannot be expressed; the message says what.
    """
    return _traced(_Stateless(copy.deepcopy(function).float().cpu().eval(), input_size), torch.zeros(0))


def _flat(state: Any) -> Tensor:
    """Return the numbers of a state of one row, side by side."""
    return torch.cat([*(leaf.detach().float().reshape(-1) for leaf in leaves(state)), torch.zeros(0)])


def _traced(cell: Cell[Any], initial: Tensor) -> Traced:
    x = torch.zeros(2, 3, cell.input_size)
    with torch.no_grad():
        inspection, state = inspect(cell), cell.initial_state(x[:, 0])
        step = derived(cell, inspection, x, state)
        found = step.hoisted(*inspection.tensors, *inspection.outside)
    floats: Callable[[Tensor], Tensor] = lambda one: one.detach().float().contiguous()  # noqa: E731
    weights, vectors = found[: step.num_weights], found[step.num_weights :]
    return Traced(step.forward, [floats(w) for w in weights], [floats(v).reshape(-1) for v in vectors], initial)
