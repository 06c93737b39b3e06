"""A cell's ``step`` and its derivative, traced as one graph by running the step itself under autograd.

The step runs on tensors without memory, as a copy of the cell whose tensors are the graph's inputs: nothing of the
user's is changed, whatever the step does. Its gradients are traced as autograd computes them, so that ``detach``,
``no_grad``, hooks and a ``torch.autograd.Function`` of one's own mean what they mean in a Python loop.
"""

import copy
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.func import functionalize

from seqmodels.cells.base import Cell
from seqmodels.fusion.decompositions import DECOMPOSITIONS
from seqmodels.fusion.guards import Inspection, inspect
from seqmodels.fusion.lines import Noting, noted, where, where_raised
from seqmodels.fusion.rows import Mutating, Refused
from seqmodels.sequence import Fixed, leaves

aten = torch.ops.aten
BATCH = 104729
"""The batch that steps are traced with, on tensors without memory: a prime that no feature size will equal."""
OTHER_BATCH = 720720
"""A second one, divisible by every number up to 16: what differs between the two is computed from the batch."""
SLICES = {aten.slice.Tensor, aten.slice_backward.default, aten.slice_scatter.default}
TIME = 3
"""Steps of the sequence that a traced step is taken from, so that its input lies in memory as in a loop."""


class Leaf(NamedTuple):
    """What a step may read of a tensor that it is given, but for its numbers."""

    shape: tuple[int, ...]  # without batch and time
    dtype: torch.dtype
    device: torch.device
    wants: bool  # whether a gradient is wanted of it

    @classmethod
    def of(cls, tensor: Tensor, leading: int) -> "Leaf":
        wants = torch.is_grad_enabled() and tensor.requires_grad
        return cls(tuple(tensor.shape[leading:]), tensor.dtype, tensor.device, wants)

    def fake(self, batch: int, strides: tuple[int, ...] | None = None) -> Tensor:
        """Return a row of such leaves; with ``strides`` it lies in memory as an earlier one did."""
        if strides is None:
            return torch.empty((batch, *self.shape), dtype=self.dtype, device=self.device)
        return torch.empty_strided((batch, *self.shape), strides, dtype=self.dtype, device=self.device)


class Form(NamedTuple):
    """Everything about the input and the state of a step that a trace depends on."""

    wx: Any  # the tree, with a Leaf for each tensor
    state: Any
    grad: bool  # whether gradients are recorded
    dtype: torch.dtype  # of what is created without one
    device: torch.device  # likewise

    @classmethod
    def of(cls, wx: Any, state: Any) -> "Form":
        """Return the form of a projected sequence, leaves ``(batch, time, ...)``, and a state ``(batch, ...)``."""
        made_in = torch.get_default_dtype(), torch.get_default_device()
        return cls(_shaped(wx, 2), _shaped(state, 1), torch.is_grad_enabled(), *made_in)


def _shaped(tree: Any, leading: int) -> Any:
    if isinstance(tree, Tensor):
        return Leaf.of(tree, leading)
    if isinstance(tree, Fixed):
        return Fixed(Leaf.of(tree.value, 0))  # type: ignore[arg-type]
    if isinstance(tree, tuple):
        return (type(tree), *(_shaped(branch, leading) for branch in tree))
    raise Refused(f"a {type(tree).__name__} among the tensors of the state or of what project returns")


@dataclass(frozen=True)
class Graph:
    """A traced step: inputs are streams, carries, constants and, for each result, its cotangent; results the output
    and the new state, then the gradients of the inputs that want one (None for the others)."""

    module: fx.GraphModule
    results: int  # the output and the fields of the state
    streams: tuple[Leaf, ...]
    carries: tuple[Leaf, ...]
    constants: tuple[Leaf, ...]  # fixed inputs, tensors of the cell, tensors outside of it
    output: tuple[torch.dtype, tuple[int, ...]]

    @property
    def nodes(self) -> tuple[list[fx.Node], list[fx.Node], list[fx.Node], list[fx.Node]]:
        """Return the inputs: streams, carries, constants, cotangents."""
        given = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        ends = [0, len(self.streams), len(self.carries), len(self.constants), self.results]
        starts = [sum(ends[: i + 1]) for i in range(5)]
        one, two, three, four = (given[a:b] for a, b in zip(starts, starts[1:], strict=False))
        return one, two, three, four

    @property
    def outcome(self) -> tuple[list[Any], list[Any]]:
        """Return the results, and the gradients of streams, carries and constants."""
        found = list(next(node for node in self.module.graph.nodes if node.op == "output").args[0])
        return found[: self.results], found[self.results :]


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


def replica(cell: Cell[Any], inspection: Inspection, tensors: Sequence[Tensor]) -> Cell[Any]:
    """Return a copy of a cell, with all that it holds, on other tensors in the places of its own."""
    memo: dict[int, Any] = {id(one): one for one in inspection.uncopied}
    memo |= {id(old): new for old, new in zip(inspection.tensors, tensors, strict=True)}
    return copy.deepcopy(cell, memo)


def trace(cell: Cell[Any], inspection: Inspection, wx: Any, state: Any) -> Graph:
    """Trace ``cell.step`` and, where a gradient is wanted, its derivative.

    Args:
        cell: the cell; it is not changed.
        inspection: what the cell's step can read.
        wx: what ``project`` returned, leaves ``(batch, time, ...)``.
        state: a state, leaves ``(batch, ...)``.

    Raises:
        Refused: the step does something that a program cannot follow; the message says what and where.
    """
    form = Form.of(wx, state)
    # a thread of its own has none of the caller's modes: no_grad, inference, autocast, hooks on saved tensors
    with unchanged(cell, inspection), torch.autograd.set_detect_anomaly(False), ThreadPoolExecutor(1) as aside:
        try:
            return aside.submit(_Tracer(cell, inspection, wx, state, form).graph).result()
        except Refused as error:
            text = str(error) if "\n" in str(error) else f"{error}\n{where_raised(error)}".rstrip()
            raise type(error)(text) from None
        except Exception as error:
            raise Refused(f"{_why(error)}\n{where_raised(error)}".rstrip()) from None


@contextmanager
def unchanged(cell: Cell[Any], inspection: Inspection) -> Iterator[None]:
    """Put random generators back, and refuse a step that uses them or that changes what it can read."""
    numpy = sys.modules.get("numpy")
    before = random.getstate(), numpy.random.get_state() if numpy else None, torch.get_rng_state()
    try:
        try:
            yield
        finally:
            now = random.getstate(), numpy.random.get_state() if numpy else None
            if now[0] != before[0] or str(now[1]) != str(before[1]):
                raise Refused("the step draws random numbers of Python or NumPy: draw in project, with torch") from None
        if inspect(cell).digest != inspection.digest:
            raise Mutating("the step changes an attribute of a class, a global variable or what a function closes over")
    finally:
        random.setstate(before[0])
        torch.set_rng_state(before[2])
        if numpy:
            numpy.random.set_state(before[1])


class _Tracer:
    def __init__(self, cell: Cell[Any], inspection: Inspection, wx: Any, state: Any, form: Form) -> None:
        self.cell, self.inspection, self.wx, self.state, self.grad = cell, inspection, wx, state, form.grad
        self.device = form.device if form.device.type != "cpu" else nullcontext()
        self.streams = [Leaf.of(leaf, 2)._replace(wants=form.grad and leaf.requires_grad) for leaf in leaves(wx)]
        self.carries = [Leaf.of(leaf, 1)._replace(wants=form.grad and leaf.requires_grad) for leaf in leaves(state)]
        given = [*fixed(wx), *inspection.tensors]
        self.constants = [Leaf.of(t, 0)._replace(wants=form.grad and t.requires_grad) for t in given]
        self.names = ["wx"] * len(list(fixed(wx))) + inspection.names
        self.strides: list[tuple[int, ...] | None] = [None] * len(self.carries)
        self.parameters = [isinstance(t, torch.nn.Parameter) for t in given]
        self.output: Leaf
        self.reads_wants = False

    def graph(self) -> Graph:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.set_grad_enabled(self.grad), self.device:
            first = [leaf.wants for leaf in self.carries]
            self._settle()
            later = [leaf.wants for leaf in self.carries]
            traced = self._traced(BATCH, later)
            _check_batch(traced.graph, self._traced(OTHER_BATCH, later).graph)
            if self.reads_wants and first != later:
                _check_first(traced.graph, self._traced(BATCH, first).graph, 1 + len(later))
        outside = self._take_in(traced)
        leaves_of = tuple(self.streams), tuple(self.carries), tuple([*self.constants, *outside])
        return Graph(traced, 1 + len(self.carries), *leaves_of, (self.output.dtype, self.output.shape))

    def _take_in(self, traced: fx.GraphModule) -> list[Leaf]:
        """Make inputs of the tensors that the step found in closures, global variables and classes."""
        graph, outside = traced.graph, self.inspection.outside
        given = [node for node in graph.nodes if node.op == "placeholder"]
        with graph.inserting_before(given[len(self.streams) + len(self.carries) + len(self.constants)]):
            inputs = [graph.placeholder(f"outside_{i}") for i in range(len(outside))]
        for node in [node for node in graph.nodes if node.op == "get_attr"]:
            tensor = getattr(traced, node.target)
            found = [i for i, one in enumerate(outside) if one is tensor]
            if isinstance(tensor, FakeTensor) or (tensor.requires_grad and self.grad):
                raise Refused(f"a tensor that wants a gradient and is no attribute of the cell\n{where(node)}")
            if found:
                inputs[found[0]].meta["val"] = node.meta.get("val", tensor)
                node.replace_all_uses_with(inputs[found[0]])
                graph.erase_node(node)
            elif "val" not in node.meta:
                node.meta["val"] = tensor
        for one, tensor in zip(inputs, outside, strict=True):
            one.meta.setdefault("val", tensor)
        return [Leaf.of(t, 0)._replace(wants=False) for t in outside]

    def _settle(self) -> None:
        """Run steps until the state is as every later step finds it, and see what a step leaves behind."""
        for _ in range(len(self.carries) + 2):
            before = [leaf.wants for leaf in self.carries]
            args = self._fakes(BATCH)
            cell, wx, state, _ = self._arranged(args, before)
            kept = inspect(cell).digest
            with Noting() as notes:
                output, after = cell.step(wx, state)
            if inspect(cell).digest != kept:
                raise Mutating("the step changes an attribute of the cell, which a loop would do at every step")
            self.reads_wants = self.reads_wants or notes.reads_wants
            self._check_state(output, after)
            self.strides = [leaf.stride() for leaf in leaves(after)]
            wants = [old or leaf.requires_grad for old, leaf in zip(before, leaves(after), strict=True)]
            self.carries = [leaf._replace(wants=new) for leaf, new in zip(self.carries, wants, strict=True)]
            self.output = Leaf.of(output, 1)
            if wants == before:
                return

    def _check_state(self, output: Any, after: Any) -> None:
        if not isinstance(output, Tensor) or output.dim() != 2 or output.shape[0] != BATCH:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else type(output).__name__
            raise Refused(f"the output has shape (batch, {shape}), not (batch, output)")
        if _structure(after) != _structure(self.state):
            raise Refused(f"the step was given {_structure(self.state)} and returns {_structure(after)}")
        for place, (leaf, old) in enumerate(zip(leaves(after), self.carries, strict=True)):
            new = tuple(leaf.shape), leaf.dtype, leaf.device
            if new != ((BATCH, *old.shape), old.dtype, old.device):
                raise Refused(
                    f"state field {place} changes in a step from {old.shape}, {old.dtype} to {new[0][1:]}, {new[1]}"
                )

    def _fakes(self, batch: int) -> list[Tensor]:
        streams = [Leaf((TIME, *leaf.shape), *leaf[1:]).fake(batch).select(1, 1) for leaf in self.streams]
        carries = [leaf.fake(batch, at) for leaf, at in zip(self.carries, self._strides(batch), strict=True)]
        constants = [torch.empty(leaf.shape, dtype=leaf.dtype, device=leaf.device) for leaf in self.constants]
        return [*streams, *carries, *constants]

    def _strides(self, batch: int) -> list[tuple[int, ...] | None]:
        """Return the strides of the state that a step leaves, for another batch."""
        return [
            None if at is None else tuple(batch * (s // BATCH) if s and s % BATCH == 0 else s for s in at)
            for at in self.strides
        ]

    def _arranged(
        self, args: Sequence[Tensor], carries: Sequence[bool]
    ) -> tuple[Cell[Any], Any, Any, list[Tensor | None]]:
        """Return a copy of the cell on tensors, its input and state of others, and those that want a gradient."""
        wants = [*(leaf.wants for leaf in self.streams), *carries, *(leaf.wants for leaf in self.constants)]
        own = [arg.detach().requires_grad_(want) if want else arg for arg, want in zip(args, wants, strict=True)]
        count = len(self.streams) + len(self.carries)
        constants = own[count:]
        for tensor, parameter in zip(constants, self.parameters, strict=True):
            if parameter:
                tensor._is_param = True  # type: ignore[attr-defined]  # what isinstance(_, Parameter) asks
        data, values = iter(own[:count]), iter(constants)
        wx, state = fill(self.wx, data, values), fill(self.state, data, values)
        cell = replica(self.cell, self.inspection, list(values))
        return cell, wx, state, [one if want else None for one, want in zip(own, wants, strict=True)]

    def _traced(self, batch: int, carries: list[bool]) -> fx.GraphModule:
        """Trace the step and its gradients to operators that change nothing in place."""
        count = len(self.streams) + len(self.carries) + len(self.constants)

        def joint(*args: Tensor) -> tuple[Any, ...]:
            cell, wx, state, wanted = self._arranged(args[:count], carries)
            output, after = cell.step(wx, state)
            results = [output, *leaves(after)]
            inputs = [one for one in wanted if one is not None]
            ends = [(one, d) for one, d in zip(results, args[count:], strict=True) if one.requires_grad]
            found: Iterator[Any] = iter(())
            if inputs and ends:
                torch.fx.traceback.set_stack_trace([])
                outputs, cotangents = [one for one, _ in ends], [d for _, d in ends]
                found = iter(torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True))
            gradients = [None if one is None else next(found, None) for one in wanted]
            return *(one.detach() for one in results), *gradients

        args = self._fakes(batch)
        cotangents = [leaf.fake(batch) for leaf in (self.output, *self.carries)]
        return _operators(joint, [*args, *cotangents])


def _structure(tree: Any) -> str:
    if isinstance(tree, Tensor):
        return "tensor"
    if isinstance(tree, tuple):
        return f"{type(tree).__name__}({', '.join(map(_structure, tree))})"
    return type(tree).__name__


def _operators(function: Callable[..., Any], fakes: list[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors to operators that change nothing in place."""
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


def _check_batch(one: fx.Graph, other: fx.Graph) -> None:
    """Raise where the traces with two batches differ but for the size of the batch in a shape."""
    pairs = list(zip(one.nodes, other.nodes, strict=False))
    if len(one.nodes) != len(other.nodes) or any(a.target != b.target for a, b in pairs if a.op == "call_function"):
        raise Refused("the step does something else for another size of the batch")
    for a, b in pairs:
        one, other = (list(n.args) if n.target in SLICES else n.args for n in (a, b))  # a slice may end with the batch
        if not (_alike(one, other) and _alike(a.kwargs, b.kwargs)):
            raise Refused(f"the step computes with the size of the batch ({a.target})\n{where(a)}")


def _check_first(later: fx.Graph, first: fx.Graph, results: int) -> None:
    """Raise where the first step, whose state wants no gradient, gives other results than later ones."""
    pairs = zip(_needed(later, results), _needed(first, results), strict=False)
    if any(a.target != b.target or not _alike(a.args, b.args) for a, b in pairs if a.op == "call_function"):
        raise Refused("the step asks whether its state wants a gradient, which differs from step to step")


def _needed(graph: fx.Graph, results: int) -> list[fx.Node]:
    """Return the nodes that the first results of a graph need, in order."""
    found = dict.fromkeys(next(n for n in graph.nodes if n.op == "output").args[0][:results])  # type: ignore[index]
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
    return one == other or one != one or (shape and one == BATCH and other == OTHER_BATCH)


def _why(error: Exception) -> str:
    """Say in words why a step could not be traced."""
    kind, text = type(error).__name__, str(error)
    said = text.lower()
    if "datadependent" in kind.lower() or "data-dependent" in said or "it appears that you're trying" in said:
        return "the step reads a number out of a tensor, to branch on it perhaps: torch.where chooses between tensors"
    return f"the step cannot be traced: {kind}: {(text.splitlines() or [''])[0]}"
