"""A cell's ``step``, traced once: what depends on parameters alone, and the program that is left for every step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._decomp import get_decompositions
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from seqmodels.cells.base import Cell
from seqmodels.fusion.lowering import Lower, where
from seqmodels.fusion.rows import Refused, Row
from seqmodels.fusion.values import Builder
from seqmodels.sequence import Fixed, leaves

aten = torch.ops.aten
BATCH = 104729
"""The batch that steps are traced with, on tensors without memory: a prime that no feature size will equal."""



def _layer_norm(x: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
    """Layer normalisation as sums along the row; PyTorch's own decomposition goes through views of views."""
    if len(shape) != 1:
        raise Refused(f"a layer normalisation over {len(shape)} dimensions")
    mean = x.sum(-1, keepdim=True) / shape[0]
    away = x - mean
    scale = torch.rsqrt((away * away).sum(-1, keepdim=True) / shape[0] + eps)
    out = away * scale
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, scale


def _variance(x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False) -> Tensor:
    if dim is None or [d % x.dim() for d in dim] != [x.dim() - 1]:
        raise Refused("a variance over something else than the last dimension")
    size = x.shape[-1]
    away = x - x.sum(-1, keepdim=True) / size
    return (away * away).sum(-1, keepdim=keepdim) / (size - (1 if correction is None else correction))


DECOMPOSITIONS = get_decompositions(
    [
        getattr(aten, name)
        for name in (
            "tanh_backward sigmoid_backward threshold_backward silu silu_backward softplus softplus_backward gelu "
            "gelu_backward _softmax _softmax_backward_data leaky_relu leaky_relu_backward elu elu_backward hardsigmoid "
            "hardsigmoid_backward hardswish hardswish_backward mish mish_backward hardtanh_backward addcmul addcdiv lerp "
            "square log_sigmoid_forward log_sigmoid_backward rsub logit"
        ).split()
    ]
) | {aten.native_layer_norm.default: _layer_norm, aten.var.correction: _variance}
TRANSPOSED = {aten.t.default, aten.transpose.int, aten.permute.default}


@dataclass(frozen=True)
class Step:
    """One traced step: ``hoisted`` maps the constants (parameters and fixed inputs) to weights and vectors."""

    builder: Builder
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
    lower = Lower(builder, BATCH, known, weight_of, vector_of)
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
        return (output, *leaves(after))

    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        fakes = [torch.empty(BATCH, *leaf.shape[1:], dtype=leaf.dtype, device=leaf.device) for leaf in [*streams, *carries]]
        fakes += [mode.from_tensor(tensor.detach()) for tensor in constants(cell, wx)]
        try:
            traced = make_fx(flat, DECOMPOSITIONS, record_stack_traces=True, _allow_non_fake_inputs=True)(*fakes)
        except Refused:
            raise
        except Exception as error:
            if "data-dependent" in str(error).lower() or "datadependent" in type(error).__name__.lower():
                raise Refused("the step branches on a value that it computes") from error
            raise Refused(f"the step cannot be traced: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    traced.graph.eliminate_dead_code()
    for node in traced.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise Refused(f"the step draws random numbers ({node.target}): draw them in project\n{where(node)}")
    return traced.graph, len(streams), len(carries)


def _constant_nodes(graph: fx.Graph, given: Sequence[fx.Node]) -> dict[fx.Node, None]:
    """Return the nodes that depend on parameters and fixed inputs alone, in order."""
    constant: dict[fx.Node, None] = dict.fromkeys(given)
    for node in graph.nodes:
        if node.op == "get_attr" or (
            node.op == "call_function" and node.all_input_nodes and all(n in constant for n in node.all_input_nodes)
        ):
            constant[node] = None
    return constant


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

