"""A guard notices when a function changes, or a class, or what code reads from outside itself."""

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqmodels.cells import Cell, LSTMCell
from seqmodels.fusion.guards import inspect
from tests.fusion.guards.guarded import SIZE, Plain, accepts, assert_noticed, stack

GAIN: Any = 1.0
TABLE: dict[str, Any] = {"gain": [1.0]}
HELPERS = types.ModuleType("helpers")
HELPERS.slope = 0.1  # type: ignore[attr-defined]


EPSILON = DEPTH = 1.0


def scaled(self: Plain, x: Tensor) -> Tensor:
    return scaled(self, x) if EPSILON > 2 else x * DEPTH


class ReadingGlobals(Plain):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return gained(wx) * TABLE["gain"][0] * HELPERS.slope


def gained(v: Tensor, by: Any = (1.0,), *, more: Any = None) -> Tensor:
    return v * GAIN * by[0]


def rebinding() -> tuple[Callable[[Tensor], Tensor], Callable[[Any], None]]:
    gain = 1.0

    def rebind(value: Any) -> None:
        nonlocal gain
        gain = value

    return lambda v: v * gain, rebind


def test_a_change_of_code_or_of_what_it_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, here = ReadingGlobals(), sys.modules[__name__]
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "GAIN", 2.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "GAIN", [2.0]))
    assert_noticed(cell, lambda: GAIN.append(2.0))
    assert_noticed(cell, lambda: monkeypatch.delattr(here, "GAIN"))
    assert_noticed(cell, lambda: monkeypatch.setitem(TABLE, "gain", [2.0]))
    assert_noticed(cell, lambda: monkeypatch.setattr(HELPERS, "slope", 0.9))
    assert_noticed(cell, lambda: monkeypatch.setattr(gained, "__defaults__", ([2.0],)))
    assert_noticed(cell, lambda: gained.__defaults__[0].append(1.0))  # type: ignore[index]
    assert_noticed(cell, lambda: monkeypatch.setattr(gained, "__kwdefaults__", {"more": 1}))
    assert_noticed(cell, lambda: monkeypatch.setattr(gained, "__code__", (lambda v, by=0, *, more=0: v).__code__))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "gained", torch.tanh))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "HELPERS", types.ModuleType("helpers")))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "HELPERS", np))


def test_a_change_of_what_a_wrapped_or_nested_function_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "helpers", HELPERS)

    class Own(Plain):
        wrapped = staticmethod(torch.no_grad()(lambda v: v * GAIN))
        cached = staticmethod(functools.lru_cache(lambda: EPSILON))

        def advance(self, wx: Tensor, h: Tensor) -> Tensor:
            from helpers import slope

            return sum(v * DEPTH for v in (wx, h)) * slope

    cell = Own()
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "GAIN", 3.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "EPSILON", 3.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "DEPTH", 3.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(HELPERS, "slope", 3.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(here, "sum", np.sum, raising=False))


def test_a_change_of_what_a_method_in_an_attribute_reads_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = ReadingGlobals()
    scale, rebind = rebinding()
    cell: Any = Plain(method=owner.advance, partial=functools.partial(gained, by=[1.0]), scale=scale, module=HELPERS)
    cell.act = lambda v: v * cell.a * HELPERS.slope
    found = inspect(cell)
    assert "method.__self__.a" in found.names
    assert_noticed(cell, lambda: rebind(2.0))
    assert_noticed(cell, lambda: rebind(torch.ones(SIZE)))
    assert_noticed(cell, lambda: cell.partial.keywords["by"].append(1.0))
    assert_noticed(cell, lambda: setattr(owner, "added", 1.0))
    assert_noticed(cell, lambda: monkeypatch.setattr(HELPERS, "slope", 2.0))
    assert_noticed(cell, lambda: setattr(cell, "act", torch.tanh))
    assert_noticed(cell, lambda: monkeypatch.setattr(Plain, "project", scaled))


def test_a_global_variable_that_only_other_code_reads_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    found = inspect(cell := ReadingGlobals())
    monkeypatch.setattr(sys.modules[__name__], "SIZE", 4)
    monkeypatch.setattr(HELPERS, "other", 4, raising=False)
    assert accepts(found, cell)


def test_a_change_of_a_class_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Plain):
        options, acts, table = {"k": 1.0}, [1.0], torch.ones(SIZE)
        act = staticmethod(torch.tanh)

        @property
        def gain(self) -> float:
            return 1.0

    cell = Own()
    assert [t is Own.table for t in inspect(cell).outside] == [True]
    assert_noticed(cell, lambda: Own.options.update(k=2.0))
    assert_noticed(cell, lambda: Own.acts.append(2.0))
    assert_noticed(cell, lambda: setattr(Own, "act", staticmethod(torch.sin)))
    assert_noticed(cell, lambda: setattr(Own, "gain", property(lambda self: 2.0)))
    assert_noticed(cell, lambda: setattr(Own, "advance", lambda self, wx, h: wx))
    assert_noticed(cell, lambda: setattr(Own, "table", torch.ones(SIZE, dtype=torch.float64)))
    assert_noticed(cell, lambda: monkeypatch.setattr(Plain, "advance", lambda self, wx, h: wx.cos()))
    assert_noticed(cell, lambda: setattr(Own, "__bases__", (ReadingGlobals,)))


def test_a_change_of_a_class_that_a_call_made_is_noticed() -> None:
    made: Any = type("Made", (Plain,), {"act": staticmethod(torch.tanh)})
    assert made.__module__ == "abc"
    assert_noticed(made(), lambda: setattr(made, "act", staticmethod(torch.sin)))
    assert_noticed(Plain(kind=made), lambda: setattr(made, "added", 1.0))


def test_a_change_of_a_cell_of_this_package_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = stack()
    assert_noticed(cell, lambda: monkeypatch.setattr(LSTMCell, "gates", ("f", "i", "g", "o")))
    assert_noticed(cell, lambda: monkeypatch.setattr(LSTMCell, "step", lambda self, wx, state: (wx, state)))
    assert_noticed(cell, lambda: monkeypatch.setattr(Cell, "retention", {"z": 1}))
    assert_noticed(cell, lambda: setattr(cell.cell, "step", types.MethodType(LSTMCell.step, cell.cell)))
