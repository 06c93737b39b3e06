"""What a cell's step can read, and a fast check that it is still the same.

A program is derived from a step by tracing, so it holds for the cell as it was then. :func:`inspect` walks what the
step can read, and writes the source of a function, the guard, that walks the same way over a cell and compares what it
finds with constants. The values of tensors are no part of it: they are the inputs of a program.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.fusion.guards.guard_text import compiled
from seqmodels.fusion.guards.walk import Walk, readable


class Guard:
    """Tells whether what was derived from one cell holds for a cell. It keeps no cell and no tensor alive."""

    def __init__(self, source: str, scope: dict[str, Any]) -> None:
        self.source = source
        self._scope = scope
        self._check: Callable[[Any], list[Tensor] | None] | None = None

    def __call__(self, cell: nn.Module) -> list[Tensor] | None:
        """Return the tensors of a cell on which everything that was walked is the same, else None.

        They are in the order of :attr:`Inspection.tensors`, followed by those of :attr:`Inspection.outside`.
        """
        if self._check is None:  # most inspections are for their digest alone
            self._check = compiled(self.source, self._scope)
        return self._check(cell)


@dataclass(frozen=True)
class Inspection:
    """What a cell's step can read."""

    tensors: list[Tensor]
    """Those that the cell holds, each once, in the order of the walk."""
    names: list[str]
    """Where each of :attr:`tensors` was found first: ``weight_hh``, ``cell.bias``, ``layers[0].weight``."""
    outside: list[Tensor]
    """Those that only classes, closures, defaults of arguments and global variables hold."""
    shared_state: list[Any]
    """Containers and objects that only those hold, which a step could change."""
    uncopied: list[object]
    """What ``copy.deepcopy`` of the cell must share: loggers, locks, modules."""
    guard: Guard
    digest: str
    """A text that is the same, in every process, for all cells on which everything that was walked is the same."""


def inspect(cell: nn.Module) -> Inspection:
    """Walk everything that the step of a cell can read.

    Raises:
        Refused: something cannot be followed; the message names the attribute that holds it.
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
