"""What a cell's step can read, and a fast check that it is still the same.

A program is derived from a step by tracing, so it is valid for the cell as it was then. :func:`inspect` walks over
everything that the step can read, and generates a function, the guard, that walks over a cell in the same way and
compares what it finds with constants. The values of tensors are not compared: they are inputs of a program.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor

from seqmodels.fusion.guards.guard_text import compiled
from seqmodels.fusion.guards.walk import Walk, readable

M = TypeVar("M", bound=nn.Module)


class Guard:
    """Checks whether what was derived from one cell is valid for another. It keeps no cell and no tensor alive."""

    def __init__(self, source: str, scope: dict[str, Any]) -> None:
        self.source = source
        self._scope = scope
        self._check: Callable[[Any], list[Tensor] | None] | None = None

    def __call__(self, cell: nn.Module) -> list[Tensor] | None:
        """Return the tensors of a cell if everything that was walked is the same on it, else None.

        They are in the order of :attr:`Inspection.tensors`, followed by those of :attr:`Inspection.outside`.
        """
        if self._check is None:  # most inspections only need the digest
            self._check = compiled(self.source, self._scope)
        return self._check(cell)


@dataclass(frozen=True)
class Inspection:
    """What a cell's step can read."""

    tensors: list[Tensor]
    """The tensors that the cell holds, each once, in the order of the walk."""
    names: list[str]
    """Where each of :attr:`tensors` was first found: ``weight_hh``, ``cell.bias``, ``layers[0].weight``."""
    outside: list[Tensor]
    """The tensors that only classes, closures, default arguments and global variables hold."""
    shared_state: list[Any]
    """Mutable containers and objects that only these hold."""
    uncopied: list[object]
    """What ``copy.deepcopy`` of the cell must not copy: loggers, locks, modules."""
    guard: Guard
    digest: str
    """A text that is equal, in every process, for all cells on which everything that was walked is equal."""


def inspect(cell: nn.Module) -> Inspection:
    """Walk everything that the step of a cell can read.

    Raises:
        Refused: something cannot be inspected; the message names the attribute that holds it.
    """
    walk = Walk()
    with torch._C.DisableTorchFunction():
        walk.over(cell)
    own = [variable for variable, (*_, inside) in walk.tensors.items() if inside]
    others = [variable for variable, (*_, inside) in walk.tensors.items() if not inside]
    source = walk.text.source([*own, *others])
    return Inspection(
        [walk.tensors[variable][0] for variable in own],
        [readable(walk.tensors[variable][1]) for variable in own],
        [walk.tensors[variable][0] for variable in others],
        walk.shared_state,
        list(walk.uncopied.values()),
        Guard(source, walk.text.scope),
        walk.text.digest(source),
    )


def copied(cell: M) -> M:
    """Return a deep copy of a cell, whose weights may be results of other ones, as those of ``spectral_norm`` are.

    Fake tensors, which ``torch.export`` puts in place of a module's own, become random ones.
    """
    found = inspect(cell)
    memo: dict[int, Any] = {id(one): one for one in found.uncopied}
    for tensor in found.tensors:
        if isinstance(tensor, FakeTensor):
            memo[id(tensor)] = _random(tensor)
        elif not tensor.is_leaf:
            memo[id(tensor)] = tensor.detach().clone().requires_grad_()
    return copy.deepcopy(cell, memo)


def _random(fake: Tensor) -> Tensor:
    """Return a tensor with numbers, zeros where these may be indices."""
    if not fake.is_floating_point():
        return torch.zeros(fake.shape, dtype=fake.dtype, device=fake.device)
    numbers = torch.randn(fake.shape, device=fake.device).to(fake.dtype).requires_grad_(fake.requires_grad)
    return nn.Parameter(numbers, fake.requires_grad) if isinstance(fake, nn.Parameter) else numbers
