"""From a cell and a sequence to programs: what was traced is kept, and used for cells that are the same."""

import os
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.errors import Mutating, Refused
from seqmodels.fusion.cpp.build import BuildFailed
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.guards import Guard, Inspection, inspect
from seqmodels.fusion.tracing.form import Form, fixed
from seqmodels.fusion.tracing.projection import linear_in
from seqmodels.fusion.tracing.step import Step, lowered
from seqmodels.fusion.tracing.trace import trace
from seqmodels.fusion.validate import validate

KEPT = 256
"""How many kinds of cells are remembered; the least recently used one is forgotten first."""

FORMS = 64
"""How many forms of inputs are remembered of a kind of cell."""

CHANGES = 16
"""How often an attribute of one cell may change before its programs are not derived anew any more."""


@dataclass
class Plan:
    """A step's programs, and by which executors they were found to be right."""

    step: Step
    key: str  # what they were derived from: all that the step can read, and the form of its inputs
    found_right: set[str] = field(default_factory=set)
    refusal: str | None = None  # why the programs are not to be used after all


@dataclass
class _Kind:
    """A cell that was inspected, and what was derived from it, or why nothing was, by the form of the inputs."""

    guard: Guard
    digest: str
    plans: OrderedDict[Form, Plan | str] = field(default_factory=OrderedDict)
    linear: dict[Any, tuple[int, int | None] | None] = field(default_factory=dict)


_kinds: OrderedDict[type, list[_Kind]] = OrderedDict()


@dataclass
class _Notes:
    """What is remembered of one cell while it lives."""

    changes: int = 0
    closed: str | None = None  # why what it reads cannot be followed


_notes: dict[int, _Notes] = {}
tracing = threading.RLock()
"""Held while something is traced: torch's tracer keeps its state in global variables, and a second one breaks both."""


def _after_fork() -> None:
    """Give the child a lock of its own: a thread that held the old one in the parent does not exist here."""
    global tracing  # noqa: PLW0603
    tracing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def plan_for(cell: Cell[Any], wx: Any, state: Any) -> tuple[Plan, list[Tensor]]:
    """Return the plan of a cell's step, derived where it is new, and the constants that its programs take.

    Args:
        cell: the cell, which is not changed.
        wx: what ``project`` returned, leaves ``(batch, time, ...)``.
        state: a state, leaves ``(batch, ...)``.

    Raises:
        Refused: the step cannot be expressed; the message says what and where.
    """
    form = Form.of(wx, state)
    kind, tensors = _kind_of(cell)
    found = kind.plans.get(form)
    if found is None:
        with tracing:
            found = kind.plans.get(form) or _derived(cell, kind, form, wx, state)
    if isinstance(found, str):
        raise Refused(found)
    if found.refusal is not None:
        raise Refused(found.refusal)
    return found, [*fixed(wx), *tensors]


def _kind_of(cell: Cell[Any]) -> tuple[_Kind, list[Tensor]]:
    """Return the kind of a cell as it is now, and its tensors."""
    for kind in _kinds.get(type(cell), ()):
        if (tensors := kind.guard(cell)) is not None:
            return kind, tensors
    with tracing:
        return _new_kind(cell)


def _new_kind(cell: Cell[Any]) -> tuple[_Kind, list[Tensor]]:
    notes = _notes_of(cell)
    if notes.closed is not None:
        raise Refused(notes.closed)
    try:
        found = inspect(cell)
        notes.changes += 1
        if notes.changes > CHANGES:
            raise Refused(f"what the step reads has changed {CHANGES} times; hold a number that changes in a buffer")
    except Refused as error:
        notes.closed = str(error)
        raise
    kind = _Kind(found.guard, found.digest)
    kinds = _kinds.setdefault(type(cell), [])
    kinds.insert(0, kind)
    _kinds.move_to_end(type(cell))
    del kinds[KEPT:]
    if len(_kinds) > KEPT:
        _kinds.popitem(last=False)
    return kind, [*found.tensors, *found.outside]


def _notes_of(cell: Cell[Any]) -> _Notes:
    if (notes := _notes.get(id(cell))) is None:  # by its id, since a user's class may define equality
        notes = _notes[id(cell)] = _Notes()
        weakref.finalize(cell, _notes.pop, id(cell), None)
    return notes


def _derived(cell: Cell[Any], kind: _Kind, form: Form, wx: Any, state: Any) -> Plan | str:
    """Derive a plan, or say why there is none; a text holds nothing of the cell, where an exception would."""
    made: Plan | str
    try:
        made = Plan(derived(cell, inspect(cell), wx, state), f"{kind.digest} {form}")
    except Refused as error:
        made = str(error)
        if isinstance(error, Mutating):
            _notes_of(cell).closed = made
    kind.plans[form] = made
    if len(kind.plans) > FORMS:
        kind.plans.popitem(last=False)
    return made


def derived(cell: Cell[Any], inspection: Inspection, wx: Any, state: Any) -> Step:
    """Trace a step and lower it.

    Raises:
        Refused: the step cannot be expressed, or something in the engine failed on it; the message says what.
    """
    try:
        return lowered(trace(cell, inspection, wx, state))
    except (Refused, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever the engine stumbles over, the definition still runs
        raise Refused(f"no program could be derived: {type(error).__name__}: {error}") from None


def check(plan: Plan, cell: Cell[Any], executor: Executor, wx: Any, state: Any) -> None:
    """Compare a plan's programs with the step before an executor runs them for the first time.

    Raises:
        Refused: they differ, or could not be compared.
        BuildFailed: the executor cannot build them.
    """
    name = type(executor).__name__
    if name in plan.found_right:
        return
    with tracing:
        try:
            validate(cell, inspect(cell), plan.step, executor, wx, state, plan.key)
        except (BuildFailed, KeyboardInterrupt):
            raise
        except Refused as error:
            plan.refusal = str(error)
            raise
        except Exception as error:
            plan.refusal = f"the derived program could not be compared with the step: {type(error).__name__}: {error}"
            raise Refused(plan.refusal) from None
    plan.found_right.add(name)


def linear_projection(cell: Cell[Any], x: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """Return weight and bias where ``cell.project`` is ``torch.nn.functional.linear`` and nothing else."""
    try:
        kind, tensors = _kind_of(cell)
    except Refused:
        return None
    key = x.dtype, x.device
    if key not in kind.linear:
        with tracing:
            kind.linear[key] = linear_in(cell, inspect(cell), x)
    found = kind.linear[key]
    if found is None:
        return None
    weight, bias = found
    return tensors[weight], None if bias is None else tensors[bias]


def step_of(cell: Cell[Any], x: Tensor) -> tuple[Step, Any, Any, list[str]]:
    """Derive the programs of a cell for an input ``x (batch, time, input)``, to be looked at.

    Returns:
        The programs, what ``project`` returned, the initial state, and the names of the constants.

    Raises:
        Refused: the step cannot be expressed; the message says what and where.
    """
    inspection, wx, state = inspect(cell), cell.project(x), cell.initial_state(x[:, 0])
    names = [*("fixed" for _ in fixed(wx)), *inspection.names, *("outside" for _ in inspection.outside)]
    return derived(cell, inspection, wx, state), wx, state, names
