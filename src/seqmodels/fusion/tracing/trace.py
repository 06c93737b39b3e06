"""A cell's ``step`` and its derivative, traced as one graph by running the step itself under autograd.

The step runs on fake tensors, which have no memory, as a method of a copy of the cell whose tensors are the inputs of
the graph: whatever the step does, nothing of the user's is changed. Gradients are traced as autograd computes them, so
that ``detach``, ``no_grad``, hooks and a user's ``torch.autograd.Function`` mean what they mean in a Python loop.
"""

import copy
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses import FakeTensor, FakeTensorMode

from seqmodels.cells.base import Cell
from seqmodels.errors import Mutating, Refused
from seqmodels.fusion.guards import Inspection, inspect
from seqmodels.fusion.tracing.form import BATCH, OTHER_BATCH, Form, Leaf, fill, fixed
from seqmodels.fusion.tracing.graph import Graph, check_batch, check_first, operators
from seqmodels.fusion.tracing.isolation import isolated
from seqmodels.fusion.tracing.lines import LineRecorder, where, where_raised
from seqmodels.sequence import leaves

WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
"""The dtype that steps in a narrow dtype are traced in; a program is the same in all of them."""
TIME = 3
"""Length of the sequence that the traced step is sliced from, so that its input has the strides it has in a loop."""


def replica(cell: Cell[Any], inspection: Inspection, tensors: Sequence[Tensor]) -> Cell[Any]:
    """Return a deep copy of a cell with other tensors in place of its own."""
    memo: dict[int, Any] = {id(one): one for one in inspection.uncopied}
    for old, new in zip(inspection.tensors, tensors, strict=True):
        memo[id(old)] = new
        if isinstance(old, torch.nn.Parameter):
            new._is_param = True  # what isinstance(_, Parameter) asks
    return copy.deepcopy(cell, memo)


def trace(cell: Cell[Any], inspection: Inspection, wx: Any, state: Any) -> Graph:
    """Trace ``cell.step`` and, if any gradient is needed, its derivative.

    Args:
        cell: the cell; it is not changed.
        inspection: what the cell's step can read.
        wx: what ``project`` returned, leaves ``(batch, time, ...)``.
        state: a state, leaves ``(batch, ...)``.

    Raises:
        Refused: the step does something that a program cannot follow; the message says what and where.
    """
    form = Form.of(wx, state)
    with unchanged(cell, inspection), torch.autograd.set_detect_anomaly(False):
        try:
            return isolated(_Tracer(cell, inspection, wx, state, form).graph)
        except Refused as error:
            text = str(error) if "\n" in str(error) else f"{error}\n{where_raised(error)}".rstrip()
            raise type(error)(text) from None
        except Exception as error:
            raise Refused(f"{_why(error)}\n{where_raised(error)}".rstrip()) from None


@contextmanager
def unchanged(cell: Cell[Any], inspection: Inspection) -> Iterator[None]:
    """Restore random generators and shared state afterwards; refuse a step that changes what it can read."""
    numpy = sys.modules.get("numpy")
    held = [(one, _content(one)) for one in inspection.shared_state]
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
        for one, content in held:
            if _content(one) != content:
                _restore(one, content)
        random.setstate(before[0])
        torch.set_rng_state(before[2])
        if numpy:
            numpy.random.set_state(before[1])


def _content(one: Any) -> list[tuple[Any, ...]]:
    """Return what a container or the attributes of an object hold, as pairs whose second compares by identity."""
    items = (one if isinstance(one, dict) else vars(one)).items() if _has_names(one) else enumerate(one)
    return [(key, _Same(value)) for key, value in items]


def _has_names(one: Any) -> bool:
    return isinstance(one, dict) or not isinstance(one, list | set | deque)


def _restore(one: Any, content: list[tuple[Any, ...]]) -> None:
    found = {key: same.value for key, same in content}
    if _has_names(one):
        held = one if isinstance(one, dict) else vars(one)
        held.clear()
        held.update(found)
    else:
        one.clear()
        one.update(found.values()) if isinstance(one, set) else one.extend(found.values())


class _Same:
    """A value that is compared by identity, whatever its class says."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]


class _Tracer:
    def __init__(self, cell: Cell[Any], inspection: Inspection, wx: Any, state: Any, form: Form) -> None:
        self.cell, self.inspection, self.wx, self.state, self.grad = cell, inspection, wx, state, form.grad
        self.device = form.device if form.device.type != "cpu" else nullcontext()
        self.streams = [Leaf.of(leaf, 2) for leaf in leaves(wx)]
        self.carries = [Leaf.of(leaf, 1) for leaf in leaves(state)]
        given = [*fixed(wx), *inspection.tensors]
        self.constants = [Leaf.of(t, 0) for t in given]
        self.names = ["wx"] * len(list(fixed(wx))) + inspection.names
        self.strides: list[tuple[int, ...] | None] = [None] * len(self.carries)
        self.output: Leaf
        self.reads_requires_grad = self.reads_size = False

    def graph(self) -> Graph:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.set_grad_enabled(self.grad), self.device:
            first = [leaf.requires_grad for leaf in self.carries]
            self._find_fixed_point()
            later = [leaf.requires_grad for leaf in self.carries]
            traced = self._traced(BATCH, later)
            if self.reads_size:
                check_batch(traced.graph, self._traced(OTHER_BATCH, later).graph)
            if self.reads_requires_grad and first != later:
                check_first(traced.graph, self._traced(BATCH, first).graph, 1 + len(later))
        outside = self._take_in(traced)
        leaves_of = tuple(self.streams), tuple(self.carries), (*self.constants, *outside)
        grad = self.grad and any(leaf.requires_grad for leaf in (*self.streams, *self.carries, *self.constants))
        return Graph(traced, 1 + len(self.carries), *leaves_of, (self.output.dtype, self.output.shape), grad)

    def _take_in(self, traced: fx.GraphModule) -> list[Leaf]:
        """Turn tensors that the step found in closures, global variables and classes into inputs of the graph."""
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
        return [Leaf.of(t, 0)._replace(requires_grad=False) for t in outside]

    def _find_fixed_point(self) -> None:
        """Run steps until the state has the properties that it has before every later step, and check them."""
        for _ in range(len(self.carries) + 2):
            before = [leaf.requires_grad for leaf in self.carries]
            args = self._fakes(BATCH, lambda leaf: leaf)
            cell, wx, state, _ = self._arranged(args, before)
            kept = inspect(cell).digest
            with LineRecorder() as recorder:
                output, after = cell.step(wx, state)
            if inspect(cell).digest != kept:
                raise Mutating("the step changes an attribute of the cell, which a loop would do at every step")
            self.reads_requires_grad |= recorder.reads_requires_grad
            self.reads_size |= recorder.reads_size
            self._check_state(output, after)
            self.strides = [leaf.stride() for leaf in leaves(after)]
            wants = [(old and self.grad) or leaf.requires_grad for old, leaf in zip(before, leaves(after), strict=True)]
            self.carries = [leaf._replace(requires_grad=new) for leaf, new in zip(self.carries, wants, strict=True)]
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

    def _fakes(self, batch: int, of: Callable[[Leaf], Leaf]) -> list[Tensor]:
        streams = [Leaf((TIME, *leaf.shape), *of(leaf)[1:]).fake(batch).select(1, 1) for leaf in self.streams]
        carries = [of(leaf).fake(batch, at) for leaf, at in zip(self.carries, self._strides(batch), strict=True)]
        constants = [torch.empty(leaf.shape, dtype=of(leaf).dtype, device=leaf.device) for leaf in self.constants]
        return [*streams, *carries, *constants]

    def _strides(self, batch: int) -> list[tuple[int, ...] | None]:
        """Return the strides of the state after a step, for another batch."""
        return [
            None if at is None else tuple(batch * (s // BATCH) if s and s % BATCH == 0 else s for s in at)
            for at in self.strides
        ]

    def _arranged(
        self, args: Sequence[Tensor], carries: Sequence[bool]
    ) -> tuple[Cell[Any], Any, Any, list[Tensor | None]]:
        """Return a copy of the cell, its input and its state on given tensors, and which require a gradient."""
        wants = [
            *(leaf.requires_grad for leaf in self.streams),
            *carries,
            *(leaf.requires_grad for leaf in self.constants),
        ]
        own = [arg.detach().requires_grad_(want) for arg, want in zip(args, wants, strict=True)]
        count = len(self.streams) + len(self.carries)
        data, values = iter(own[:count]), iter(own[count:])
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
            if self.grad and inputs and ends:
                torch.fx.traceback.set_stack_trace([])
                outputs, cotangents = [one for one, _ in ends], [d for _, d in ends]
                found = iter(torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True))
            gradients = [None if one is None else next(found, None) for one in wanted]
            return *(one.detach() for one in results), *gradients

        args = self._fakes(batch, _widened)
        cotangents = [_widened(leaf).fake(batch) for leaf in (self.output, *self.carries)]
        return operators(joint, [*args, *cotangents])


def _widened(leaf: Leaf) -> Leaf:
    """Return a leaf as it is traced: PyTorch decomposes operators in narrow dtypes into conversions to fp32."""
    return leaf._replace(dtype=WIDE.get(leaf.dtype, leaf.dtype))


def _structure(tree: Any) -> str:
    if isinstance(tree, Tensor):
        return "tensor"
    if isinstance(tree, tuple):
        return f"{type(tree).__name__}({', '.join(map(_structure, tree))})"
    return type(tree).__name__


def _why(error: Exception) -> str:
    """Return in words why a step could not be traced."""
    kind, text = type(error).__name__, str(error)
    said = text.lower()
    if "datadependent" in kind.lower() or "data-dependent" in said or "it appears that you're trying" in said:
        return "the step reads a number out of a tensor, to branch on it perhaps: torch.where chooses between tensors"
    return f"the step cannot be traced: {kind}: {(text.splitlines() or [''])[0]}"
