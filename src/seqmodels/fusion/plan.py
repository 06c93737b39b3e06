"""From a cell and a sequence to fused kernels: what is traced is kept, by the structure of the cell."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from seqmodels.cells.base import Cell
from seqmodels.fusion.adjoint import Pair, derive, inference
from seqmodels.fusion.program import Program
from seqmodels.fusion.rows import Refused
from seqmodels.fusion.trace import Step, example, fixed, trace
from seqmodels.sequence import leaves

T = TypeVar("T")

KEPT = 256
"""How many traced steps are remembered; the least recently used one is forgotten first."""


class Executor(Protocol):
    """Runs programs; see :meth:`seqmodels.fusion.portable.Portable.run` for the contract."""

    def prepare(self, programs: Sequence[Program], dtype: torch.dtype) -> None:
        """Make programs ready that will be run in ``dtype``."""
        ...

    def run(
        self,
        program: Program,
        streams: Sequence[Tensor],
        carries: Sequence[Tensor],
        vectors: Sequence[Tensor],
        weights: Sequence[Tensor],
        lengths: Tensor | None,
        first: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]: ...

    def outer(self, operands: Sequence[Tensor], cotangent: Tensor, *, ones: bool = False) -> Tensor: ...


class Plan:
    """A traced step with the programs derived from it so far."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.inference = inference(step)
        self._pairs: dict[tuple[Any, ...], Pair] = {}

    def pair(self, streams: tuple[bool, ...], weights: tuple[bool, ...], vectors: tuple[bool, ...]) -> Pair:
        """Return the forward and backward programs for the inputs that want a gradient."""
        key = (streams, weights, vectors)
        if key not in self._pairs:
            with _tracing:
                if key not in self._pairs:
                    # a thread of its own has none of the caller's hooks on saved tensors, with which nothing is derived
                    with ThreadPoolExecutor(1) as aside:
                        self._pairs[key] = aside.submit(derive, self.step, streams, weights, vectors).result()
        return self._pairs[key]


_tracing = threading.RLock()
"""Held while something is traced: torch's tracer keeps its state in global variables, and a second one breaks both."""


def _after_fork() -> None:
    """Give the child a lock of its own: a thread that held the old one in the parent does not exist here."""
    global _tracing  # noqa: PLW0603
    _tracing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Recent(Generic[T]):
    """Results by key; the least recently used one is forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, T] = OrderedDict()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        with _tracing:
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = make()
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(key)
            return found


_plans: _Recent[Plan | Refused] = _Recent()
_verdicts: _Recent[str] = _Recent()


def plan_for(cell: Cell[Any], wx: Any, state: Any) -> Plan:
    """Return the plan of a cell's step for leaves of these shapes, tracing it when it is new.

    Args:
        cell: the cell.
        wx: what ``step`` receives at one step, leaves ``(batch, ...)``.
        state: a state.

    Raises:
        Refused: the step cannot be expressed; the message says what and where.
    """

    def make() -> Plan | Refused:
        try:
            return Plan(trace(cell, wx, state))
        except Refused as error:
            return error

    found = _plans.get((fingerprint(cell), _shape(wx), _shape(state)), make)
    if isinstance(found, Refused):
        raise Refused(str(found))
    return found


def refusal(cell: Cell[Any], x: Tensor) -> str | None:
    """Return why the step of ``cell`` over ``x (batch, time, input)`` cannot be expressed, or None when it can."""

    def make() -> str:
        try:
            plan_for(cell, *example(cell, x))
        except Refused as error:
            return str(error)
        return ""

    return _verdicts.get((fingerprint(cell), x.shape[2:], x.dtype, x.device), make) or None


def fingerprint(cell: Cell[Any]) -> tuple[Any, ...]:
    """Return what a step's trace may depend on: types, flags and plain attributes, names and shapes of parameters."""
    return tuple(
        (name, type(module), *_of_class(type(module)), *_frozen(module.__dict__))
        for name, module in cell.named_modules()
    )


def _of_class(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the numbers and texts of a module's class and its bases, and what its step is."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in ("torch", "abc", "typing", "builtins"):
            continue
        for name, value in vars(base).items():
            if name == "step" or (isinstance(value, bool | int | float | str | tuple) and not name.startswith("__")):
                yield name, _hashable(value)


_TENSORS = ("_parameters", "_buffers")
_MACHINERY = {"_modules", "_non_persistent_buffers_set"}


def _frozen(attributes: dict[str, Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for name, value in attributes.items():
        if name in _TENSORS:
            found += [(key, None if t is None else (t.shape, t.dtype, t.device)) for key, t in value.items()]
        elif name not in _MACHINERY and not (name.startswith("_") and not value):
            found.append((name, _hashable(value)))
    return tuple(found)


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list | tuple | set):
        return (type(value), *map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _shape(tree: Any) -> tuple[Any, ...]:
    rows = ((leaf.shape[1:], leaf.dtype, leaf.device) for leaf in leaves(tree))
    return (type(tree), *rows, *((value.shape, value.dtype) for value in fixed(tree)))
