"""The layers of a network in C, and how they are joined."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from seqmodels.errors import Refused
from seqmodels.exporting.c.traced import Traced, traced_cell, traced_function
from seqmodels.layers import (
    Bidirectional,
    ConcatInput,
    Convolution,
    ConvolutionStack,
    Recurrent,
    SelfAttention,
    SequenceLayer,
    Stack,
)


@dataclass(frozen=True)
class Leaf:
    """One cell over time, or a function of each step."""

    traced: Traced
    reverse: bool = False

    @property
    def output_size(self) -> int:
        return self.traced.output_size


@dataclass(frozen=True)
class Pair:
    """Two nodes over the same input, their outputs side by side."""

    first: "Node"
    second: "Node"

    @property
    def output_size(self) -> int:
        return self.first.output_size + self.second.output_size


@dataclass(frozen=True)
class Chain:
    """Nodes one after the other; ``residual`` adds to each but the first what it reads."""

    nodes: tuple["Node", ...]
    residual: bool

    @property
    def output_size(self) -> int:
        return self.nodes[-1].output_size


@dataclass(frozen=True)
class WithInput:
    """The input, then the output of a node."""

    node: "Node"
    input_size: int

    @property
    def output_size(self) -> int:
        return self.input_size + self.node.output_size


@dataclass(frozen=True)
class Convolved:
    """A convolution over time, ReLU, and max pooling.

    Attributes:
        weight: ``(kernel, input, channels)``.
        bias: ``(channels,)``.
        stride, pool: as in :class:`~seqmodels.layers.Convolution`.
        norm: weight and bias ``(channels,)``, and epsilon, of a normalisation over the sequence.
    """

    weight: Tensor
    bias: Tensor
    stride: int
    pool: int
    norm: tuple[Tensor, Tensor, float] | None

    @property
    def output_size(self) -> int:
        return self.weight.shape[2]


@dataclass(frozen=True)
class Attending:
    """Self-attention: queries, keys and values of each step; the heads; a function of ``[heads, input]``."""

    before: Leaf
    heads: int
    after: Leaf

    @property
    def output_size(self) -> int:
        return self.after.output_size


Node = Leaf | Pair | Chain | WithInput | Convolved | Attending


def node_of(layer: nn.Module) -> Node:
    """Take a layer apart.

    Raises:
        Refused: it cannot be exported as C.
    """
    for kind, take in _LAYERS.items():
        if isinstance(layer, kind):
            return take(layer)
    known = ", ".join(kind.__name__ for kind in _LAYERS)
    raise Refused(f"a {type(layer).__name__} cannot be exported as C; layers that can be: {known}")


def _attending(layer: SelfAttention) -> Attending:
    size = layer.input_size
    before = Leaf(traced_function(layer.queries_keys_values, size))
    return Attending(before, layer.heads, Leaf(traced_function(_Joined(layer), 2 * size)))


class _Joined(nn.Module):
    """What follows the heads of self-attention at each step, ``[heads, input]``."""

    def __init__(self, layer: SelfAttention) -> None:
        super().__init__()
        self.joined, self.norm, self.size = layer.joined, layer.norm, layer.input_size

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(x[:, self.size :] + self.joined(x[:, : self.size]))
        return found


def _convolved(layer: Convolution) -> Convolved:
    plain = layer.convolution
    bias = torch.zeros(layer.output_size) if plain.bias is None else _floats(plain.bias)
    norm = None if layer.norm is None else (_floats(layer.norm.weight), _floats(layer.norm.bias), layer.norm.eps)
    return Convolved(_floats(plain.weight.permute(2, 1, 0)), bias, layer.stride, layer.pool, norm)


def _convolutions(layer: ConvolutionStack) -> Node:
    chain = Chain(tuple(map(node_of, layer.layers)), residual=False)
    return WithInput(chain, input_size([layer])) if layer.concat_input else chain


def _floats(weight: Tensor) -> Tensor:
    return weight.detach().float().cpu().contiguous()


_LAYERS: dict[type[nn.Module], Callable[[Any], Node]] = {
    Recurrent: lambda layer: Leaf(traced_cell(layer.cell), layer.reverse),
    Bidirectional: lambda layer: Pair(node_of(layer.forward_layer), node_of(layer.backward_layer)),
    Stack: lambda layer: Chain(tuple(map(node_of, layer.layers)), layer.residual),
    ConcatInput: lambda layer: WithInput(node_of(layer.layer), layer.input_size),
    SelfAttention: _attending,
    Convolution: _convolved,
    ConvolutionStack: _convolutions,
}


def chained(layers: Sequence[nn.Module | None]) -> Node:
    """Return layers one after the other as a node; those that are None are left out."""
    nodes: list[Node] = []
    for layer in layers:
        if layer is None:
            continue
        node = node_of(layer)
        if isinstance(node, Chain) and not node.residual:  # each chain has memory of its own between its nodes
            nodes += node.nodes
        else:
            nodes.append(node)
    return nodes[0] if len(nodes) == 1 else Chain(tuple(nodes), residual=False)


def _inner(node: Node) -> tuple[Any, ...]:
    """Return the nodes that a node consists of, in the order in which they are written."""
    if isinstance(node, Chain):
        return node.nodes
    if isinstance(node, Attending):
        return node.before, node.after
    names = {Pair: ("first", "second"), WithInput: ("node",)}.get(type(node), ())
    return tuple(getattr(node, name) for name in names)


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all within it."""
    yield node
    for one in _inner(node):
        yield from walk(one)


def needs_whole(node: Node) -> bool:
    """Whether a step cannot be computed before later ones are known. Convolutions are centred on a step."""
    return any(isinstance(one, Convolved | Attending) or (isinstance(one, Leaf) and one.reverse) for one in walk(node))


def shortening(node: Node) -> int:
    """Return of how many steps of the input there is one of the output."""
    return prod(one.stride * one.pool for one in walk(node) if isinstance(one, Convolved))


def input_size(layers: Sequence[Any]) -> int:
    """Return the features that the first of some layers reads; those that are None are left out."""
    layer = next(layer for layer in layers if layer is not None)
    if isinstance(layer, SequenceLayer):
        return layer.input_size
    first = next((one for one in layer.modules() if isinstance(one, nn.Conv1d)), None)
    assert first is not None, "node_of has refused other layers"
    return first.in_channels
