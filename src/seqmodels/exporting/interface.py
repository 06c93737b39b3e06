"""What an exported graph reads and returns: its tensors by name, with the sizes of their axes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.sequence import Fixed, map_leaves

Axis = str | int
"""A size that callers choose, by its name, or a fixed one."""


@dataclass(frozen=True)
class Port:
    """A tensor that a graph reads.

    Attributes:
        name: of the tensor.
        axes: of its shape.
        below: for whole numbers from 0 on, the number that they are less than, which may be the size of an axis.
        length_of: for whole numbers from 1 on, the axis that they are lengths of.
        truth: whether it holds truth values.
    """

    name: str
    axes: tuple[Axis, ...]
    below: int | str | None = None
    length_of: str | None = None
    truth: bool = False

    def example(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """Return random values, of lengths one that is the whole size."""
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in self.axes]
        if self.length_of is not None:
            longest = sizes[self.length_of]
            lengths = torch.randint(1, longest + 1, shape, generator=generator)
            lengths[-1] = longest
            return lengths
        if self.below is not None:
            bound = sizes[self.below] if isinstance(self.below, str) else self.below
            return torch.randint(0, bound, shape, generator=generator)
        numbers = torch.randn(shape, generator=generator)
        return torch.cat([torch.ones_like(numbers[:, :1]), numbers[:, 1:]], 1) > 0 if self.truth else numbers


@dataclass(frozen=True)
class Graph:
    """A network to export: a module from tensors to tensors.

    Attributes:
        name: of the graph.
        module: takes the tensors of ``inputs``, in order, and returns a tuple of those of ``outputs``.
        inputs: what it reads.
        outputs: names of what it returns, with their axes.
        initial: for inputs that are a state, their values before the first step, ``(1, ...)``.
        multiples: axes that must be a multiple of a number.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: Mapping[str, tuple[Axis, ...]]
    initial: Mapping[str, Tensor] = field(default_factory=dict)
    multiples: Mapping[str, int] = field(default_factory=dict)

    @property
    def axes(self) -> list[str]:
        """Names of the sizes that callers choose."""
        return [*dict.fromkeys(axis for port in self.inputs for axis in port.axes if isinstance(axis, str))]

    def examples(self, batch: int, time: int, seed: int = 0) -> list[Tensor]:
        """Return random inputs: ``batch`` rows, and ``time`` (in multiples, where there are) for every other axis."""
        generator = torch.Generator().manual_seed(seed)
        sizes = {axis: batch if axis == "batch" else time * self.multiples.get(axis, 1) for axis in self.axes}
        return [port.example(sizes, generator) for port in self.inputs]


def named_leaves(tree: Any, name: str) -> dict[str, Tensor]:
    """Return the tensors of a nested tuple by name: the names of fields, and the numbers of parts without a name.

    Example:
        >>> from seqmodels.cells import LSTMCell
        >>> list(named_leaves((LSTMCell(4, 5).initial_state(torch.zeros(1, 4)),), "state"))
        ['state.0.h', 'state.0.c']
    """
    if isinstance(tree, Tensor):
        return {name: tree}
    if isinstance(tree, Fixed):
        return {}
    found: dict[str, Tensor] = {}
    for field_name, part in zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True):
        found |= named_leaves(part, f"{name}.{field_name}")
    return found


def ports_of(tree: Any, name: str) -> list[Port]:
    """Return the inputs for a state, given that of one row."""
    return [Port(key, ("batch", *leaf.shape[1:])) for key, leaf in named_leaves(tree, name).items()]


def outputs_of(tree: Any, name: str) -> dict[str, tuple[Axis, ...]]:
    """Return the outputs for a state, given that of one row."""
    return {key: ("batch", *leaf.shape[1:]) for key, leaf in named_leaves(tree, name).items()}


def filled(tree: Any, tensors: Iterable[Tensor]) -> Any:
    """Return a nested tuple with other tensors in the places of its own, in order."""
    rest = iter(tensors)
    return map_leaves(lambda _: next(rest), tree)


class Call(nn.Module):
    """A module that is a function of another module, which a copy must copy, and of tensors."""

    def __init__(self, inner: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.inner = inner
        self.function = function

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.function(self.inner, *tensors)
