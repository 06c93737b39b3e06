"""A cell's ``step``, traced once: what depends on parameters alone, and the program that is left for every step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx

from seqmodels.cells.base import Cell
from seqmodels.fusion.decompositions import DECOMPOSITIONS
from seqmodels.fusion.lines import noted, where, where_raised
from seqmodels.fusion.lowering import Lower
from seqmodels.fusion.rows import Refused, Row
from seqmodels.fusion.values import Builder, Product
from seqmodels.sequence import Fixed, at_step, leaves

aten = torch.ops.aten
BATCH = 104729
"""The batch that steps are traced with, on tensors without memory: a prime that no feature size will equal."""
OTHER_BATCH = 100003
"""A second one: what differs between the two traces is computed from the size of the batch."""

TRANSPOSED = {aten.t.default, aten.transpose.int, aten.permute.default}


@dataclass(frozen=True)
class Step:
    """One traced step: ``hoisted`` maps the constants (parameters and fixed inputs) to weights and vectors."""

    builder: Builder
    products: tuple[Product, ...]  # the builder will know more: those of derivatives
    hoisted: fx.GraphModule
    num_weights: int
    streams: tuple[tuple[int, ...], ...]  # shapes (without batch) of what project decides, step by step
    carries: tuple[tuple[int, ...], ...]  # shapes (without batch) of the state
    vectors: tuple[int, ...]  # sizes
    output: Row
    state: tuple[Row, ...]


class _Step(nn.Module):
    """A module whose forward is a cell's step, so that its parameters can be given from outside."""

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, wx: Any, state: Any) -> tuple[Tensor, Any]:
        return self.cell.step(wx, state)


def constants(cell: Cell[Any], wx: Any) -> list[Tensor]:
    """Return what a step reads besides its streams and its state: fixed inputs, parameters, buffers."""
    return [*fixed(wx), *(p for _, p in cell.named_parameters()), *(b for _, b in cell.named_buffers())]


def fixed(tree: Any) -> Iterator[Tensor]:
    """Yield the values of a tree that are the same at every step."""
    if isinstance(tree, Fixed):
        yield tree.value
    elif isinstance(tree, tuple):
        for branch in tree:
            yield from fixed(branch)


def fill(tree: Any, streams: Iterator[Tensor], values: Iterator[Tensor]) -> Any:
    """Return ``tree`` with other leaves and other fixed values."""
    if isinstance(tree, Fixed):
        return Fixed(next(values))
    if not isinstance(tree, tuple):
        return next(streams)
    branches = [fill(branch, streams, values) for branch in tree]
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)


def example(cell: Cell[Any], x: Tensor) -> tuple[Any, Any]:
    """Return what a step of ``cell`` over ``x (batch, time, input)`` receives, as tensors without memory."""
    autocast = torch.autocast(x.device.type, enabled=False)  # it would cache weights without memory for later use
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), autocast:
        one = torch.empty(2, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        return at_step(cell.project(one), 0), cell.initial_state(one[:, 0])


def trace(cell: Cell[Any], wx: Any, state: Any) -> Step:
    """Trace ``cell.step``; ``wx`` and ``state`` are examples whose leaves are ``(batch, ...)``, of any batch.

    Raises:
        Refused: the step does something that a fused kernel cannot; the message names the operator and the line.
    """
    graph, num_streams, num_carries = _graph(cell, wx, state)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    data, given = inputs[: num_streams + num_carries], inputs[num_streams + num_carries :]
    constant = _constant_nodes(graph, given)
    builder = Builder()
    weights: list[fx.Node] = []
    vectors: list[fx.Node] = []

    def weight_of(node: fx.Node) -> tuple[int, bool] | None:
        if node not in constant:
            return None
        transposed = node.target in TRANSPOSED and node.args[0].meta["val"].dim() == 2  # type: ignore[union-attr]
        base = node.args[0] if transposed else node
        if base not in weights:
            weights.append(base)  # type: ignore[arg-type]
        return weights.index(base), transposed  # type: ignore[arg-type]

    def vector_of(node: fx.Node) -> Row | None:
        if node not in constant:
            return None
        vectors.append(node)
        return _leaf(builder, "vector", len(vectors) - 1, _without_batch(tuple(node.meta["val"].shape)))

    shapes = [tuple(node.meta["val"].shape[1:]) for node in data]
    kinds = [("stream", i) for i in range(num_streams)] + [("carry", i) for i in range(num_carries)]
    known = {n: _leaf(builder, *kind, shape) for n, kind, shape in zip(data, kinds, shapes, strict=True)}
    grain = torch.Size(shapes[num_streams]).numel() if num_carries else 0
    lower = Lower(builder, BATCH, known, weight_of, vector_of, grain)
    results = next(node for node in graph.nodes if node.op == "output").args[0]
    output, *new = [lower(node) for node in results]
    for position, (one, shape) in enumerate(zip(new, shapes[num_streams:], strict=True)):
        if one.shape != shape:
            raise Refused(f"state field {position} changes its shape from {shape} to {one.shape} in a step")
    if len(output.shape) != 1:
        raise Refused(f"the output has shape (batch, {', '.join(map(str, output.shape))}), not (batch, output)")
    hoisted = _hoist(graph, given, constant, [*weights, *vectors])
    return Step(
        builder,
        tuple(builder.products),
        hoisted,
        len(weights),
        tuple(shapes[:num_streams]),
        tuple(shapes[num_streams:]),
        tuple(int(node.meta["val"].numel()) for node in vectors),
        output,
        tuple(new),
    )


def _graph(cell: Cell[Any], wx: Any, state: Any) -> tuple[fx.Graph, int, int]:
    """Trace the step on fake tensors, parameters as inputs; return the graph and the numbers of streams and carries."""
    streams, carries = leaves(wx), leaves(state)
    module = _Step(cell)
    names = [name for name, _ in module.named_parameters()] + [name for name, _ in module.named_buffers()]

    def flat(*args: Tensor) -> tuple[Tensor, ...]:
        data, rest = iter(args[: len(streams) + len(carries)]), iter(args[len(streams) + len(carries) :])
        tree = fill(wx, data, rest)
        before = fill(state, data, rest)
        output, after = functional_call(module, dict(zip(names, rest, strict=True)), (tree, before))
        if (count := len(leaves(after))) != len(carries):
            raise Refused(f"the step was given a state of {len(carries)} tensors and returns one of {count}")
        return (output, *leaves(after))

    def fakes(batch: int) -> list[Tensor]:
        shapes = [((batch, *leaf.shape[1:]), leaf) for leaf in [*streams, *carries]]
        shapes += [(tuple(tensor.shape), tensor) for tensor in constants(cell, wx)]
        return [torch.empty(shape, dtype=like.dtype, device=like.device) for shape, like in shapes]

    autocast = torch.autocast((streams + carries)[0].device.type, enabled=False)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), autocast:
        try:
            traced = _operators(flat, fakes(BATCH))
            _check_batch(traced.graph, _operators(flat, fakes(OTHER_BATCH)).graph)
        except Refused as error:
            raise Refused(str(error) if "\n" in str(error) else f"{error}\n{where_raised(error)}".rstrip()) from None
        except Exception as error:
            raise Refused(f"{_why(error)}\n{where_raised(error)}") from error
    traced.graph.eliminate_dead_code()
    for node in traced.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise Refused(f"the step draws random numbers ({node.target}): draw them in project\n{where(node)}")
    return traced.graph, len(streams), len(carries)


def _operators(flat: Callable[..., Any], fakes: list[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors to operators that change nothing in place."""
    with noted():
        traced = make_fx(flat, DECOMPOSITIONS, _allow_non_fake_inputs=True)(*fakes)
        if not (changes := _mutations(traced.graph)):
            return traced
        traced = make_fx(functionalize(flat), DECOMPOSITIONS, _allow_non_fake_inputs=True)(*fakes)
    if _mutations(traced.graph):  # what is left changes something that the step was given
        given = [node for node in changes if isinstance(node.args[0], fx.Node) and node.args[0].op == "placeholder"]
        raise Refused(f"the step changes its state, its input or a parameter in place\n{where((given or changes)[0])}")
    return traced


def _mutations(graph: fx.Graph) -> list[fx.Node]:
    calls = (node for node in graph.nodes if isinstance(node.target, torch._ops.OpOverload))
    return [node for node in calls if node.target._schema.is_mutable]


def _check_batch(one: fx.Graph, other: fx.Graph) -> None:
    """Raise where the traces with two batches differ in a number: the step computes with the size of the batch."""
    for a, b in zip(one.nodes, other.nodes, strict=True):
        numbers = [
            tuple(x for x in (*node.args, *node.kwargs.values()) if isinstance(x, int | float)) for node in (a, b)
        ]
        if numbers[0] != numbers[1] and a.target is not aten.slice.Tensor:
            raise Refused(f"the step computes with the size of the batch ({a.target})\n{where(a)}")


def _why(error: Exception) -> str:
    """Say in words why a step could not be traced."""
    kind, text = type(error).__name__, str(error)
    if (
        "datadependent" in kind.lower()
        or "data-dependent" in text.lower()
        or "it appears that you're trying" in text.lower()
    ):
        return "the step reads a number out of a tensor, to branch on it perhaps: torch.where chooses between tensors"
    return f"the step cannot be traced: {kind}: {(text.splitlines() or [''])[0]}"


def _constant_nodes(graph: fx.Graph, given: Sequence[fx.Node]) -> dict[fx.Node, None]:
    """Return the nodes that depend on parameters and fixed inputs alone, in order."""
    constant: dict[fx.Node, None] = dict.fromkeys(given)
    for node in graph.nodes:
        if node.op == "get_attr" or (
            node.op == "call_function"
            and node.all_input_nodes
            and all(n in constant for n in node.all_input_nodes)
            and not _for_each_row(node)
        ):
            constant[node] = None
    return constant


def _for_each_row(node: fx.Node) -> bool:
    """Say whether a node repeats a constant for every row, so that its shape holds for the traced batch alone."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and tuple(value.shape[:1]) == (BATCH,)


def _hoist(graph: fx.Graph, given: Sequence[fx.Node], constant: dict[fx.Node, None], wanted: list[fx.Node]) -> Any:
    """Return the part of the graph that depends on constants alone, as a module of its own."""
    new, copies = fx.Graph(), {}
    for node in given:
        copies[node] = new.placeholder(node.name)
    for node in constant:
        if node not in copies:
            copies[node] = new.node_copy(node, copies.__getitem__)
    new.output(tuple(copies[node] for node in wanted))
    new.eliminate_dead_code()
    return fx.GraphModule(graph.owning_module or nn.Module(), new)


def _leaf(builder: Builder, kind: str, index: int, shape: tuple[int, ...]) -> Row:
    width = 1
    for size in shape:
        width *= size
    return Row(shape, ((builder.leaf(kind, index, 0, width), width),))


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A parameter of shape (1, size) meets rows as (size,) does."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
