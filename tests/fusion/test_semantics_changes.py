"""What a step reads may change between two calls, wherever it lies: the next call computes with what it is then."""

import enum
import os
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.fusion import running
from tests.fusion.running import (
    HIDDEN,
    UserCell,
    assert_auto_equals_eager,
    assert_change_is_noticed,
    cases,
    sequence,
    written,
)

Advance = Callable[[Any, Tensor, Tensor], Tensor]
GLOBAL, GLOBALS = 1.0, {"gain": [1.0]}


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


@dataclass
class Inner:
    gain: float = 1.0
    names: list[str] = field(default_factory=lambda: ["tanh"])


@dataclass
class Config:
    slope: float = 0.1
    inner: Inner = field(default_factory=Inner)


class Slotted:
    __slots__ = ("gain",)

    def __init__(self) -> None:
        self.gain = 1.0


class Activation:
    scale: ClassVar = [1.0]

    def __init__(self) -> None:
        self.k = 1.0

    def __call__(self, v: Tensor) -> Tensor:
        return torch.tanh(self.k * self.scale[0] * v)

    @property
    def doubled(self) -> float:
        return 2 * self.k


class Mode(enum.Enum):
    SMOOTH = 1
    SHARP = 2


def times(gain: Callable[[Any], Any]) -> Advance:
    """Return a step that multiplies by what ``gain`` reads from the cell."""
    return lambda s, wx, h: torch.tanh(s.added(wx, h)) * gain(s)


def setting(*path: str, to: Any) -> Callable[[Any], None]:
    """Return what sets an attribute of an attribute of a cell."""

    def change(cell: Any) -> None:
        for name in path[:-1]:
            cell = getattr(cell, name)
        setattr(cell, path[-1], to)

    return change


OBJECTS: dict[str, tuple[Advance, Callable[[], Any], Callable[[Any], Any]]] = {
    "dataclass": (
        lambda s, wx, h: F.leaky_relu(s.added(wx, h), s.held.slope),
        Config,
        setting("held", "slope", to=0.9),
    ),
    "dataclass in one": (times(lambda s: s.held.inner.gain), Config, setting("held", "inner", "gain", to=0.5)),
    "dataclass replaced": (times(lambda s: s.held.gain), Inner, setting("held", to=Inner(0.3))),
    "text in a list": (
        lambda s, wx, h: getattr(torch, s.held.names[0])(s.added(wx, h)),
        Inner,
        lambda s: s.held.names.__setitem__(0, "sin"),
    ),
    "namespace": (times(lambda s: s.held.gain), lambda: types.SimpleNamespace(gain=1.0), setting("held", "gain", to=2)),
    "slots": (times(lambda s: s.held.gain), Slotted, setting("held", "gain", to=2.0)),
    "callable object": (lambda s, wx, h: s.held(s.added(wx, h)), Activation, setting("held", "k", to=2.0)),
    "list of its class": (
        lambda s, wx, h: s.held(s.added(wx, h)),
        type("Own", (Activation,), {"scale": [1.0]}),
        lambda s: s.held.scale.append(s.held.scale.pop() / 2),
    ),
    "property": (times(lambda s: s.held.doubled), Activation, setting("held", "k", to=0.2)),
    "bound method": (
        lambda s, wx, h: s.held(s.added(wx, h)),
        lambda: Activation().__call__,
        lambda s: setattr(s.held.__self__, "k", 3.0),
    ),
    "partial": (
        lambda s, wx, h: s.held(s.added(wx, h)),
        lambda: partial(F.leaky_relu, negative_slope=0.1),
        lambda s: s.held.keywords.update(negative_slope=0.8),
    ),
    "dict in a list": (
        times(lambda s: s.held[0]["gain"]),
        lambda: [{"gain": 1.0}],
        lambda s: s.held[0].update(gain=0.4),
    ),
    "length of a list": (times(lambda s: len(s.held)), lambda: [1], lambda s: s.held.append(1)),
    "set": (times(lambda s: 2.0 if "x" in s.held else 1.0), set, lambda s: s.held.add("x")),
    "enum": (times(lambda s: s.held.value), lambda: Mode.SMOOTH, setting("held", to=Mode.SHARP)),
    "1 and True": (times(lambda s: 2 if s.held is True else 1), lambda: 1, setting("held", to=True)),
    "1 and 1.0": (times(lambda s: 2 if isinstance(s.held, float) else 1), lambda: 1, setting("held", to=1.0)),
    "None and 0.0": (times(lambda s: 2 if s.held is None else 1 + s.held), lambda: None, setting("held", to=0.0)),
    "empty text and None": (times(lambda s: 2 if s.held is None else 1), lambda: "", setting("held", to=None)),
    "0.0 and -0.0": (lambda s, wx, h: torch.atan2(wx * 0 + s.held, wx - 9), lambda: 0.0, setting("held", to=-0.0)),
    "array": (
        lambda s, wx, h: torch.tanh(s.added(wx, h)) * torch.from_numpy(s.held),
        lambda: np.ones(HIDDEN),
        lambda s: s.held.__setitem__(3, 2.0),
    ),
    "tensor that is no buffer": (times(lambda s: s.held), lambda: torch.ones(HIDDEN), lambda s: s.held.fill_(0.5)),
    "tensor in a list": (times(lambda s: s.held[0]), lambda: [torch.ones(HIDDEN)], lambda s: s.held[0].fill_(0.5)),
    "tensor read as a number": (times(lambda s: float(s.held)), lambda: torch.tensor(1.0), lambda s: s.held.fill_(2)),
    "tensor that a branch reads": (
        times(lambda s: 1.0 if s.held > 0.5 else 2.0),
        lambda: torch.tensor(1.0),
        lambda s: s.held.zero_(),
    ),
    "layer in a list": (
        lambda s, wx, h: torch.tanh(wx + s.held[0](h)),
        lambda: [nn.Linear(HIDDEN, HIDDEN).double()],
        lambda s: setattr(s.held[0], "bias", nn.Parameter(torch.ones(HIDDEN).double())),
    ),
    "slope of a layer": (
        lambda s, wx, h: s.held(s.added(wx, h)),
        lambda: nn.LeakyReLU(0.1),
        setting("held", "negative_slope", to=0.7),
    ),
    "order of layers": (
        lambda s, wx, h: s.held(s.added(wx, h)),
        lambda: nn.Sequential(nn.Tanh(), nn.Softplus()),
        lambda s: setattr(s, "held", nn.Sequential(*reversed(list(s.held)))),
    ),
    "layer replaced": (lambda s, wx, h: s.held(s.added(wx, h)), nn.Tanh, setting("held", to=nn.Softsign())),
    "function replaced": (lambda s, wx, h: s.held(s.added(wx, h)), lambda: torch.tanh, setting("held", to=torch.sin)),
}


@pytest.mark.parametrize("case", cases(OBJECTS))
def test_a_change_in_what_a_cell_holds_is_noticed(
    case: tuple[Advance, Callable[[], Any], Callable[[Any], Any]],
) -> None:
    advance, make, change = case
    cell = written(advance, held=make())
    assert_change_is_noticed(cell, lambda: change(cell))


@pytest.mark.parametrize("name", ["_gain", "__gain", "gain"])
def test_a_change_of_an_attribute_is_noticed_whatever_its_name(name: str) -> None:
    cell = written(times(lambda s: 1 + (getattr(s, name) or 0)), **{name: 0})
    assert_change_is_noticed(cell, lambda: setattr(cell, name, 0.5))


CLASS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Any], Any]]] = {
    "number": (lambda: {"gain": 1.0}, lambda kind: setattr(kind, "gain", 0.5)),
    "list": (lambda: {"gains": [1.0]}, lambda kind: kind.gains.__setitem__(0, 0.5)),
    "dict": (lambda: {"options": {"gain": 1.0}}, lambda kind: kind.options.update(gain=0.5)),
    "tensor": (lambda: {"gain": torch.ones(HIDDEN)}, lambda kind: setattr(kind, "gain", torch.full((HIDDEN,), 0.5))),
    "function": (lambda: {"act": staticmethod(torch.sin)}, lambda kind: setattr(kind, "act", staticmethod(torch.cos))),
    "method": (lambda: {"helper": lambda s, v: v.sin()}, lambda kind: setattr(kind, "helper", lambda s, v: v.cos())),
    "property": (
        lambda: {"gain": property(lambda s: 1.0)},
        lambda kind: setattr(kind, "gain", property(lambda s: 0.5)),
    ),
}


@pytest.mark.parametrize("case", cases(CLASS))
def test_a_change_of_a_class_is_noticed(case: tuple[Callable[[], dict[str, Any]], Callable[[Any], Any]]) -> None:
    make, change = case

    def advance(s: Any, wx: Tensor, h: Tensor) -> Tensor:
        v = torch.tanh(s.added(wx, h))
        for name in ("act", "helper"):
            v = getattr(s, name, torch.abs)(v)
        gains = (getattr(s, "gains", [1.0])[0], getattr(s, "options", {"gain": 1.0})["gain"], getattr(s, "gain", 1.0))
        return v * gains[0] * gains[1] * gains[2]

    kind = type("Changing", (UserCell,), {"advance": advance, **make()})
    assert_change_is_noticed(kind().double(), lambda: change(kind))


def test_a_base_class_that_is_patched_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = written(lambda s, wx, h: s.added(wx, h).sin())
    assert_change_is_noticed(cell, lambda: monkeypatch.setattr(UserCell, "added", lambda s, wx, h: wx - 0.5 * h))


def test_another_class_is_noticed() -> None:
    cell, other = written(lambda s, wx, h: s.added(wx, h).sin()), written(lambda s, wx, h: s.added(wx, h).cos())
    assert_change_is_noticed(cell, lambda: setattr(cell, "__class__", type(other)))


def test_a_step_whose_code_is_replaced_is_noticed() -> None:
    def advance(s: Any, wx: Tensor, h: Tensor) -> Tensor:
        return torch.sin(s.added(wx, h))

    def other(s: Any, wx: Tensor, h: Tensor) -> Tensor:
        return torch.cos(s.added(wx, h))

    assert_change_is_noticed(written(advance), lambda: setattr(advance, "__code__", other.__code__))


def test_globals_are_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = written(times(lambda s: GLOBAL * GLOBALS["gain"][0] * running.TIME))
    assert_change_is_noticed(cell, lambda: monkeypatch.setitem(globals(), "GLOBAL", 0.5))
    assert_change_is_noticed(cell, lambda: GLOBALS["gain"].__setitem__(0, 0.3))
    GLOBALS["gain"][0] = 1.0
    monkeypatch.setattr(running, "TIME", 62)
    assert_auto_equals_eager(cell, sequence(cell))


def test_a_function_of_torch_that_is_patched_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = written(lambda s, wx, h: F.silu(s.added(wx, h)))
    assert_change_is_noticed(cell, lambda: monkeypatch.setattr(F, "silu", torch.sin))


def test_the_environment_is_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = written(times(lambda s: float(os.environ.get("A_GAIN", "1"))))
    assert_change_is_noticed(cell, lambda: monkeypatch.setenv("A_GAIN", "0.5"))


def test_the_default_dtype_is_read_at_every_call() -> None:
    cell = written(times(lambda s: 2.0 if torch.get_default_dtype() == torch.float64 else 1.0))
    try:
        assert_change_is_noticed(cell, lambda: torch.set_default_dtype(torch.float64))
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_a_closure_holds_is_read_at_every_call() -> None:
    gain, gains, config = 1.0, [1.0], Config()

    def advance(s: Any, wx: Tensor, h: Tensor) -> Tensor:
        return F.leaky_relu(s.added(wx, h), config.slope) * gain * gains[0]

    def halve() -> None:
        nonlocal gain
        gain = 0.5

    cell = written(advance)
    assert_change_is_noticed(cell, halve)
    assert_change_is_noticed(cell, lambda: gains.__setitem__(0, 0.3))
    assert_change_is_noticed(cell, lambda: setattr(config, "slope", 0.4))


def test_default_arguments_are_read_at_every_call() -> None:
    def scaled(v: Tensor, gain: float = 1.0, *, shift: float = 0.0, more: list[float] = [1.0]) -> Tensor:  # noqa: B006
        return v * gain * more[0] + shift

    cell = written(lambda s, wx, h: scaled(torch.tanh(s.added(wx, h))))
    assert_change_is_noticed(cell, lambda: setattr(scaled, "__defaults__", (0.5,)))
    keywords = scaled.__kwdefaults__
    assert keywords is not None
    assert_change_is_noticed(cell, lambda: keywords.update(shift=0.25))
    assert_change_is_noticed(cell, lambda: keywords["more"].__setitem__(0, 0.2))
