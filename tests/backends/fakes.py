"""Cells whose unrolls one can do in one's head, and the runs that tests compare."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.backends import unroll
from seqmodels.cells import Cell
from seqmodels.sequence import leaves, map_leaves
from tests.conftest import TOLERANCE

BATCH, TIME, INPUT, HIDDEN = 3, 7, 4, 19  # distinct, so that a swapped axis fails; a vector and a part, as in fusion
LENGTHS = (4, 7, 1)
RESETS = tuple(tuple(t in steps for t in range(TIME)) for steps in ((2, 3, 5), (0, 4), (1, 6)))
"""Sequences of one step and of several; flags where they have no effect."""


class Number(NamedTuple):
    value: Tensor  # (batch, 1)


class _FakeCell(Cell[Number]):
    def __init__(self) -> None:
        super().__init__()
        self.input_size = self.hidden_size = 1

    def initial_state(self, x: Tensor) -> Number:
        return Number(self.zeros(x))

    def project(self, x: Tensor) -> Tensor:
        return x


class CountingCell(_FakeCell):
    """Puts out how many steps it has made."""

    def step(self, wx: Tensor, state: Number) -> tuple[Tensor, Number]:
        return state.value + 1, Number(state.value + 1)


class EchoCell(_FakeCell):
    """Puts out its input, and remembers it."""

    def step(self, wx: Tensor, state: Number) -> tuple[Tensor, Number]:
        return wx, Number(wx)


class LatchCell(_FakeCell):
    """Remembers the first input that is not 0, and puts it out."""

    def step(self, wx: Tensor, state: Number) -> tuple[Tensor, Number]:
        latched = torch.where(state.value == 0, wx, state.value)
        return latched, Number(latched)


def with_random_parameters(cell: Cell[Any], dtype: torch.dtype = torch.float64) -> Cell[Any]:
    """Return ``cell`` with every parameter drawn, so that no bias is 0 and no gain 1."""
    for parameter in cell.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    return cell.to(dtype)


def random_state(cell: Cell[Any], x: Tensor) -> Any:
    """Return a state for ``x`` drawn at random, its leaves asking for gradients."""
    return map_leaves(lambda leaf: torch.randn_like(leaf).requires_grad_(), cell.initial_state(x[:, 0]))


def with_gradients(cell: Cell[Any], x: Tensor, state: Any = None, **options: Any) -> dict[str, Tensor]:
    """Unroll and return, by name, outputs, final state, and the gradient of all that can have one."""
    return measured(lambda leaf: unroll(cell, leaf, state, **options), cell, x, state)


def measured(
    run: Callable[[Tensor], tuple[Tensor, Any]], module: nn.Module, x: Tensor, state: Any = None
) -> dict[str, Tensor]:
    """Return what ``run(x)`` returns and, for a loss of all of it, the gradients of ``x``, ``module`` and ``state``."""
    x = x.detach().clone().requires_grad_()
    y, final = run(x)
    loss = y.sin().sum() + sum(leaf.cos().sum() for leaf in leaves(final))
    wanted = {"x": x, **dict(module.named_parameters())}
    wanted |= {f"state {index}": leaf for index, leaf in enumerate(leaves(state or ())) if leaf.requires_grad}
    gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True, materialize_grads=True)
    results = {"y": y.detach()}
    results |= {f"final {index}": leaf.detach() for index, leaf in enumerate(leaves(final))}
    return results | {f"gradient of {name}": gradient for name, gradient in zip(wanted, gradients, strict=True)}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor], whose: str = "") -> None:
    """Compare all that ``expected`` names, within the tolerance of its dtype; ``whose`` begins the message."""
    for name, value in expected.items():
        text = f"{whose} {name}: ".lstrip()
        torch.testing.assert_close(actual[name], value, **TOLERANCE[value.dtype], msg=lambda why: text + why)  # noqa: B023
