"""From a cell and a sequence to programs: derived once, and reused for every cell on which its step reads the same."""

import os
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.errors import Mutating, Refused
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.guards import Guard, Inspection, inspect
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.lowering.step import Step, lowered
from seqmodels.fusion.tracing.form import Form, fixed
from seqmodels.fusion.tracing.projection import linear_in
from seqmodels.fusion.tracing.trace import trace
from seqmodels.fusion.validate import validate

KEPT = 256
"""Most kinds of cells that are remembered; the least recently used one is dropped first."""

FORMS = 64
"""Most forms of inputs that are remembered for one kind of cell."""

CHANGES = 16
"""How often an attribute of one cell may change before no more programs are derived for it."""


@dataclass
class Plan:
    """A step's programs, and what came of comparing them with the step, by executor and dtype."""

    step: Step
    key: str  # what they were derived from: all that the step can read, and the form of its inputs
    outcomes: dict[str, Refused | BuildFailed | None] = field(default_factory=dict)  # why not; None if they agreed


@dataclass
class _Kind:
    """A cell that was inspected, and what was derived from it, or why nothing was, by the form of the inputs."""

    guard: Guard
    digest: str
    plans: OrderedDict[Form, Plan | str] = field(default_factory=OrderedDict)
    linear: dict[tuple[torch.dtype, torch.device], tuple[int, int | None] | None] = field(default_factory=dict)


_kinds: OrderedDict[type, list[_Kind]] = OrderedDict()


@dataclass
class _Notes:
    """What is remembered of one cell while it lives."""

    changes: int = 0
    refusal: str | None = None  # why no program can be derived for it


_notes: dict[int, _Notes] = {}
trace_lock = threading.RLock()
"""Held during a trace: torch's tracer keeps its state in global variables, so that two traces at once break both."""


def _after_fork() -> None:
    """Give the child a lock of its own: a thread that held the old one in the parent does not exist here."""
    global trace_lock  # noqa: PLW0603
    trace_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@dataclass(frozen=True)
class Recognised:
    """A cell as it is now: its tensors, and what was derived from it or from another one of its kind.

    It holds until code of the cell runs, which may change it.
    """

    cell: Cell[Any]
    kind: _Kind
    tensors: list[Tensor]

    def plan(self, wx: Any, state: Any) -> tuple[Plan, list[Tensor]]:
        """Return the plan of the cell's step, derived if it is new, and the constants that its programs take.

        Args:
            wx: what ``project`` returned, leaves ``(batch, time, ...)``.
            state: a state, leaves ``(batch, ...)``.

        Raises:
            Refused: the step cannot be expressed; the message says what and where.
        """
        form = Form.of(wx, state)
        found = self.kind.plans.get(form)
        if found is None:
            with trace_lock:
                found = self.kind.plans.get(form) or self._derived(form, wx, state)
        if isinstance(found, str):
            raise Refused(found)
        return found, [*fixed(wx), *self.tensors]

    def _derived(self, form: Form, wx: Any, state: Any) -> Plan | str:
        """Derive a plan, or say why there is none; a text holds nothing of the cell, where an exception would."""
        found: Plan | str
        try:
            found = Plan(derived(self.cell, inspect(self.cell), wx, state), f"{self.kind.digest} {form}")
        except Refused as error:
            found = str(error)
            if isinstance(error, Mutating):
                _notes_of(self.cell).refusal = found
        plans = self.kind.plans
        plans[form] = found
        if len(plans) > FORMS:
            plans.popitem(last=False)
        return found

    def linear_projection(self, x: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """Return weight and bias if ``cell.project`` is ``torch.nn.functional.linear`` and nothing else."""
        known, key = self.kind.linear, (x.dtype, x.device)
        if key not in known:
            with trace_lock:
                known[key] = linear_in(self.cell, inspect(self.cell), x)
        if (found := known[key]) is None:
            return None
        weight, bias = found
        return self.tensors[weight], None if bias is None else self.tensors[bias]

    def check(self, plan: Plan, executor: Executor, wx: Any, state: Any, dtype: torch.dtype) -> None:
        """Compare a plan's programs with the step before an executor runs them for the first time in a dtype.

        Raises:
            Refused: they differ, or could not be compared.
            BuildFailed: the executor cannot build them.
        """
        name = f"{type(executor).__name__} {dtype}"
        if name not in plan.outcomes:
            with trace_lock:
                if name not in plan.outcomes:  # no other thread was faster
                    plan.outcomes[name] = self._compared(plan, executor, wx, state, dtype)
        if (why := plan.outcomes[name]) is not None:  # the same at every call: comparing takes long
            raise type(why)(str(why))

    def _compared(
        self, plan: Plan, executor: Executor, wx: Any, state: Any, dtype: torch.dtype
    ) -> Refused | BuildFailed | None:
        try:
            validate(self.cell, inspect(self.cell), plan.step, executor, wx, state, plan.key, dtype)
        except (BuildFailed, Refused) as error:
            return type(error)(str(error))  # without the traceback, which holds the cell
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            return Refused(f"the derived program could not be compared with the step: {what}")
        return None


def recognise(cell: Cell[Any]) -> Recognised:
    """Find the kind of a cell as it is now.

    Raises:
        Refused: something that the step can read cannot be followed, or changes too often.
    """
    for kind in _kinds.get(type(cell), ()):
        if (tensors := kind.guard(cell)) is not None:
            return Recognised(cell, kind, tensors)
    with trace_lock:
        return _new_kind(cell)


def _new_kind(cell: Cell[Any]) -> Recognised:
    notes = _notes_of(cell)
    if notes.refusal is not None:
        raise Refused(notes.refusal)
    try:
        found = inspect(cell)
        notes.changes += 1
        if notes.changes > CHANGES:
            raise Refused(f"what the step reads has changed {CHANGES} times; hold a number that changes in a buffer")
    except Refused as error:
        notes.refusal = str(error)
        raise
    kind = _Kind(found.guard, found.digest)
    kinds = _kinds.setdefault(type(cell), [])
    kinds.insert(0, kind)
    _kinds.move_to_end(type(cell))
    del kinds[KEPT:]
    if len(_kinds) > KEPT:
        _kinds.popitem(last=False)
    return Recognised(cell, kind, [*found.tensors, *found.outside])


def _notes_of(cell: Cell[Any]) -> _Notes:
    if (notes := _notes.get(id(cell))) is None:  # by its id, since a user's class may define equality
        notes = _notes[id(cell)] = _Notes()
        weakref.finalize(cell, _notes.pop, id(cell), None)
    return notes


def derived(cell: Cell[Any], inspection: Inspection, wx: Any, state: Any) -> Step:
    """Trace a step and lower it.

    Raises:
        Refused: the step cannot be expressed, or something in the engine failed on it; the message says what.
    """
    try:
        return lowered(trace(cell, inspection, wx, state))
    except (Refused, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever fails in here, the cell can still run in a Python loop
        raise Refused(f"no program could be derived: {type(error).__name__}: {error}") from None


def step_of(cell: Cell[Any], x: Tensor) -> tuple[Step, Any, Any, list[str]]:
    """Derive the programs of a cell for an input ``x (batch, time, input)``, to look at them.

    Returns:
        The programs, what ``project`` returned, the initial state, and the names of the constants.

    Raises:
        Refused: the step cannot be expressed; the message says what and where.
    """
    inspection, wx, state = inspect(cell), cell.project(x), cell.initial_state(x[:, 0])
    names = [*("fixed" for _ in fixed(wx)), *inspection.names, *("outside" for _ in inspection.outside)]
    return derived(cell, inspection, wx, state), wx, state, names
