"""The fused back-end in a graph: a cell over a sequence as one operator, for ``torch.compile`` and ``torch.export``.

What a graph holds is ``torch.ops.seqmodels.recurrence`` (``fusion/operators.py``) between the ordinary operators of
``project``. Which programs it runs is decided while the graph is made.
"""

import ctypes
import re
import sys
from typing import Any

import torch
from torch import Tensor

from seqmodels.backends.backend import Projection
from seqmodels.backends.rows import carries, check_projected, either, in_one_dtype, of_type, streams
from seqmodels.cells.base import Cell
from seqmodels.errors import Refused
from seqmodels.fusion import operators
from seqmodels.fusion.choice import checked_on, executor_for
from seqmodels.fusion.guards import copied, inspect
from seqmodels.fusion.plan import recognise
from seqmodels.fusion.tracing.form import fixed
from seqmodels.fusion.tracing.isolation import isolated
from seqmodels.fusion.written import written
from seqmodels.sequence import Fixed, at_step, leaves, map_leaves

assert operators  # it defines torch.ops.seqmodels
ROWS, STEPS = 3, 4
"""The size of the sequence that stands for the real one, which has no numbers yet while a graph is made."""

Place = tuple[tuple[bool, str | int], ...]
"""Where a cell holds a tensor: attributes, and items of containers (True)."""


def unroll_in_graph(
    cell: Cell[Any],
    x: Tensor,
    state: Any,
    projection: Projection,
    *,
    lengths: Tensor | None,
    resets: Tensor | None,
    restart: Any,
) -> tuple[Tensor, Any]:
    """Run a cell over a sequence as one operator. The tracer follows this function, and everything it calls but one.

    Raises:
        Refused: the cell cannot be fused; the message says why.
    """
    mixed = torch.is_autocast_enabled(x.device.type)
    wx, state, restart = in_one_dtype(projection(), state, restart, mixed=mixed)
    forms = _form(x, 2), _form(wx, 2), _form(either(state, restart), 1)
    refusal, text, places, dtype, truth, guarded = _planned(id(cell), *forms, torch.is_grad_enabled())
    if refusal:
        raise Refused(refusal)
    if guarded and torch.compiler.is_dynamo_compiling():
        cell.step(at_step(wx, 0), state)  # nobody reads the result: dynamo guards whatever a step reads
    constants = [*fixed(wx), *[_at(cell, place) for place in places]]
    starts = carries(state, dtype), carries(restart, dtype)
    y, *rest = torch.ops.seqmodels.recurrence(text, streams(leaves(wx), dtype), *starts, constants, lengths, resets)
    final = iter(rest)  # then what the backward pass reads
    return y != 0 if truth else y, map_leaves(lambda leaf: of_type(next(final).view(leaf.shape), leaf.dtype), state)


def transform_refusal() -> str | None:
    """Return why no cell can be fused under a transform of derivatives or batches; None where there is none."""
    if torch._C._functorch.maybe_current_level() is not None:
        return "transforms of torch.func need the back-end 'eager'"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives need the back-end 'eager'"
    return None


def _form(tree: Any, leading: int) -> tuple[Any, ...]:
    """Return what a program depends on of a tree: plain tuples, each with its type or, for a tensor, ``Tensor`` first.

    They are constants for dynamo, which named tuples are not.
    """
    if isinstance(tree, Tensor):
        return Tensor, tuple(tree.shape[leading:]), tree.dtype, tree.device, tree.requires_grad
    inner = 0 if isinstance(tree, Fixed) else leading
    return (type(tree), *[_form(branch, inner) for branch in tree])


def _at(cell: Cell[Any], place: Place) -> Tensor:
    found: Any = cell
    for item, name in place:
        found = found[name] if item else getattr(found, str(name))
    assert isinstance(found, Tensor)
    return found


def _planned(
    number: int, x: tuple[Any, ...], wx: tuple[Any, ...], state: tuple[Any, ...], grad: bool
) -> tuple[Any, ...]:
    """Derive and check the programs of a cell while a graph is made.

    Dynamo calls this function as it is, and takes the result for a constant.

    Args:
        number: the ``id`` of the cell, which dynamo's guards then compare; dynamo passes no modules to such a function.
        x: the form of the input.
        wx: the form of what ``project`` returned.
        state: the form of the state.
        grad: whether gradients are wanted.

    Returns:
        Why the cell cannot be fused, or nothing; its programs as text, where it holds the tensors that they take, their
        dtype, whether its output is a truth value, and whether the graph has guards.
    """
    cell = ctypes.cast(number, ctypes.py_object).value
    exporting = torch.compiler.is_exporting()
    grad = grad and not exporting  # what is exported has no derivative
    try:
        if (onnx := sys.modules.get("torch.onnx")) is not None and onnx.is_in_onnx_export():
            raise Refused("ONNX has no operator for a recurrence")
        if why := transform_refusal():  # dynamo enters transforms while it follows them
            raise Refused(why)
        with torch.random.fork_rng(devices=[], enabled=True):
            return (
                "",
                *isolated(_plan, cell, x, wx, state, grad),
                not exporting,
            )  # away from the modes of what makes the graph
    except Refused as error:
        return (str(error), "", (), torch.float32, False, False)


_planned._dynamo_marked_constant = True  # type: ignore[attr-defined] # torch.compiler's decorator imports all of dynamo


def _plan(
    cell: Cell[Any], x: tuple[Any, ...], wx: tuple[Any, ...], state: tuple[Any, ...], grad: bool
) -> tuple[Any, ...]:
    found = inspect(cell)
    if found.outside:
        raise Refused("the step reads a tensor that is no attribute of the cell")
    places = tuple(_place(cell, name, tensor) for name, tensor in zip(found.names, found.tensors, strict=True))
    own = copied(cell)
    before = inspect(own).digest
    with torch.set_grad_enabled(grad):
        try:
            sequence = _example(x, (ROWS, STEPS))
            projected = own.project(sequence)
        except Exception as error:  # the cell's own
            raise Refused(f"its projection cannot be computed: {type(error).__name__}: {error}") from None
        check_projected(projected, sequence)
        if inspect(own).digest != before:
            raise Refused("project changes an attribute of the cell")
        known, like, start = recognise(own), _like(wx, projected), _example(state, (ROWS,))
        plan, _ = known.plan(like, start)
        step = plan.step
        checked_on(known, plan, like, start, first=executor_for(sequence.device, step.dtype), dtype=step.dtype)
    return written(step), places, step.dtype, step.output == torch.bool


def _example(form: tuple[Any, ...], leading: tuple[int, ...]) -> Any:
    """Return random numbers of a form."""
    kind, *parts = form
    if kind is Tensor:
        shape, dtype, device, requires_grad = parts
        numbers = torch.randn((*leading, *shape), device=device)
        return (numbers > 0 if dtype == torch.bool else numbers.to(dtype)).requires_grad_(
            requires_grad and torch.is_grad_enabled()
        )
    return _node(kind, [_example(part, () if kind is Fixed else leading) for part in parts])


def _like(form: tuple[Any, ...], tree: Any) -> Any:
    """Return what ``project`` returned, in the form that it has in the graph, where autocast may be on."""
    kind, *parts = form
    if kind is Tensor:
        _, dtype, _, requires_grad = parts
        return tree.detach().to(dtype).requires_grad_(requires_grad and torch.is_grad_enabled())
    return _node(kind, [_like(part, one) for part, one in zip(parts, tree, strict=True)])


def _node(kind: Any, branches: list[Any]) -> Any:
    return kind(*branches) if hasattr(kind, "_fields") else tuple(branches)


def _place(cell: Cell[Any], name: str, tensor: Tensor) -> Place:
    """Return a name like ``layers[0].weight`` in parts."""
    parts = re.findall(r"\[(\d+)\]|\['([^']*)'\]|([^.\[]+)", name)
    place: Place = tuple(
        (True, int(index)) if index else (True, key) if key else (False, attribute) for index, key, attribute in parts
    )
    try:
        if _at(cell, place) is tensor:
            return place
    except (LookupError, AttributeError):
        pass
    raise Refused(f"the step reads a tensor where a graph cannot find it: {name}")
