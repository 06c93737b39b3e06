"""Tracing a function of tensors to operators without in-place changes, and comparing two traces."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx

from seqmodels.errors import Refused
from seqmodels.fusion.tracing.decompositions import DECOMPOSITIONS
from seqmodels.fusion.tracing.form import BATCH, OTHER_BATCH, Leaf
from seqmodels.fusion.tracing.lines import noted, where

aten = torch.ops.aten
SLICES = {aten.slice.Tensor, aten.slice_backward.default, aten.slice_scatter.default}


@dataclass(frozen=True)
class Graph:
    """A traced step.

    Its inputs are streams, carries, constants and, for each result, its cotangent. It returns the output and the new
    state, then the gradients of all inputs but the cotangents, None where none is needed.
    """

    module: fx.GraphModule
    results: int  # the output and the fields of the state
    streams: tuple[Leaf, ...]
    carries: tuple[Leaf, ...]
    constants: tuple[Leaf, ...]  # fixed inputs, tensors of the cell, tensors outside of it
    output: tuple[torch.dtype, tuple[int, ...]]
    grad: bool  # whether gradients were traced

    @property
    def nodes(self) -> tuple[list[fx.Node], list[fx.Node], list[fx.Node], list[fx.Node]]:
        """Return the inputs: streams, carries, constants, cotangents."""
        given = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        ends = [0, len(self.streams), len(self.carries), len(self.constants), self.results]
        starts = [sum(ends[: i + 1]) for i in range(5)]
        one, two, three, four = (given[a:b] for a, b in pairwise(starts))
        return one, two, three, four

    @property
    def outcome(self) -> tuple[list[Any], list[Any]]:
        """Return the results, and the gradients of streams, carries and constants."""
        found = list(next(node for node in self.module.graph.nodes if node.op == "output").args[0])
        return found[: self.results], found[self.results :]


def operators(function: Callable[..., Any], fakes: list[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors to operators without in-place changes."""
    with noted():
        traced = make_fx(function, DECOMPOSITIONS, _allow_non_fake_inputs=True)(*fakes)
    traced.graph.eliminate_dead_code()
    for node in traced.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise Refused(f"the step draws random numbers ({node.target}): draw them in project\n{where(node)}")
    if not (changes := _mutations(traced.graph)):
        return traced
    with torch.no_grad(), torch.fx.traceback.preserve_node_meta():
        again = functionalize(fx.Interpreter(traced).run)
        traced = make_fx(again, DECOMPOSITIONS, _allow_non_fake_inputs=True)(*fakes)
    if _mutations(traced.graph):  # what is left changes something that the step was given
        given = [node for node in changes if isinstance(node.args[0], fx.Node) and node.args[0].op == "placeholder"]
        raise Refused(f"the step changes its state, its input or a parameter in place\n{where((given or changes)[0])}")
    traced.graph.eliminate_dead_code()
    return traced


def _mutations(graph: fx.Graph) -> list[fx.Node]:
    calls = (node for node in graph.nodes if isinstance(node.target, torch._ops.OpOverload))
    return [node for node in calls if node.target._schema.is_mutable]


def check_batch(one: fx.Graph, other: fx.Graph) -> None:
    """Raise if the traces with two batches differ in more than the size of the batch in a shape."""
    pairs = list(zip(one.nodes, other.nodes, strict=False))
    if len(one.nodes) != len(other.nodes) or any(a.target != b.target for a, b in pairs if a.op == "call_function"):
        raise Refused("the step does something else for another size of the batch")
    for a, b in pairs:
        left, right = (list(n.args) if n.target in SLICES else n.args for n in (a, b))  # a slice may end with the batch
        if not (_alike(left, right) and _alike(a.kwargs, b.kwargs)):
            raise Refused(f"the step computes with the size of the batch ({a.target})\n{where(a)}")


def check_first(later: fx.Graph, first: fx.Graph, results: int) -> None:
    """Raise if the first step, whose state requires no gradient, computes other results than later ones."""
    pairs = zip(_needed(later, results), _needed(first, results), strict=False)
    if any(a.target != b.target or not _alike(a.args, b.args) for a, b in pairs if a.op == "call_function"):
        raise Refused("the step asks whether its state wants a gradient, which differs from step to step")


def _needed(graph: fx.Graph, results: int) -> list[fx.Node]:
    """Return the nodes that the first results of a graph need, in order."""
    found = dict.fromkeys(next(n for n in graph.nodes if n.op == "output").args[0][:results])
    for node in reversed(graph.nodes):
        if node in found:
            found |= dict.fromkeys(node.all_input_nodes)
    return [node for node in graph.nodes if node in found]


def _alike(one: Any, other: Any, *, shape: bool = False) -> bool:
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return len(one) == len(other) and all(_alike(a, b, shape=isinstance(one, list)) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
    if isinstance(one, fx.Node):
        return isinstance(other, fx.Node) and one.name == other.name
    return (
        one == other
        or (isinstance(one, float) and math.isnan(one))
        or (shape and one == BATCH and other == OTHER_BATCH)
    )
