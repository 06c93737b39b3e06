"""A guard accepts a cell only while all that its step can read is what it was; what cannot be followed is refused."""

import copy
import enum
import functools
import gc
import logging
import os
import random
import subprocess
import sys
import threading
import timeit
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from seqmodels.cells import GRUCell
from seqmodels.errors import Refused
from seqmodels.fusion.guards import inspect
from tests.fusion.guards.guarded import SIZE, Config, Mode, Plain, Slotted, accepts, assert_noticed, scaled_by, stack
from tests.fusion.guards.test_guards_of_code import ReadingGlobals


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Hostile:
    """An object whose own code must not be called."""

    def __init__(self) -> None:
        self.gain = 1.0

    def fail(self, *args: Any) -> Any:
        raise AssertionError("a user's code was called")

    __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __repr__ = __getattr__ = __reduce_ex__ = fail
    __class__ = width = property(fail)


class HostileDict(dict[Any, Any]):
    __eq__ = __hash__ = __len__ = __iter__ = __getitem__ = keys = values = items = __bool__ = Hostile.fail  # type: ignore


class HostileList(list[Any]):
    __eq__ = __hash__ = __len__ = __iter__ = __getitem__ = __bool__ = Hostile.fail  # type: ignore[assignment]


PAIRS: dict[str, tuple[Any, Any]] = {
    "integer and truth value": (1, True),
    "integer and number": (1, 1.0),
    "zero and nothing": (0.0, None),
    "zero and minus zero": (0.0, -0.0),
    "NaN and zero": (float("nan"), 0.0),
    "empty and nothing": ([], None),
    "list and tuple": ([1.0], (1.0,)),
    "number in nested lists": ([[1.0]], [[2.0]]),
    "key of a dict": ({1: "a"}, {True: "a"}),
    "order of a dict": ({"a": 1, "b": 1}, {"b": 1, "a": 1}),
    "element of a set": ({1, 2}, {1, 2.0}),
    "element of a deque": (deque([1]), deque([2])),
    "NumPy number": (np.float32(1), np.float64(1)),
    "NumPy array": (np.arange(3), np.arange(3) + 1),
    "dtype of a NumPy array": (np.zeros(2, np.int32), np.zeros(2, np.float32)),
    "member of an enumeration": (Mode.ONE, Mode.TWO),
    "function": (torch.tanh, torch.sin),
    "closure": (scaled_by(1.0), scaled_by(2.0)),
    "partial": (functools.partial(torch.add, alpha=[1]), functools.partial(torch.add, alpha=[2])),
    "default factory": (defaultdict(int), defaultdict(list)),
    "class": (Config, Slotted),
    "dtype": (torch.float32, torch.float64),
    "device": (torch.device("cpu"), torch.device("meta")),
    "tensor's shape": (torch.zeros(2), torch.zeros(3)),
    "configuration": (OmegaConf.create({"a": {"b": [1]}}), OmegaConf.create({"a": {"b": [2]}})),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_cells_that_differ_in_an_attribute_are_told_apart(pair: tuple[Any, Any]) -> None:
    one, other = (inspect(Plain(value=value)) for value in pair)
    again = Plain(value=copy.deepcopy(pair[0]))
    assert one.guard(Plain(value=pair[1])) is None
    assert other.guard(Plain(value=pair[0])) is None
    assert len({one.digest, other.digest}) == 2
    assert one.guard(again) is not None
    assert inspect(again).digest == one.digest


def test_a_change_inside_an_attribute_is_noticed() -> None:
    config, slots, lists, simple = Config(), Slotted(), [Config([1.0])], types.SimpleNamespace(slope=0.1)
    layers, ordered = [nn.Linear(SIZE, SIZE)], OrderedDict(a=[1])
    held = {"config": config, "slots": slots, "lists": lists, "simple": simple, "layers": layers, "ordered": ordered}
    cell = Plain(**held, view=types.MappingProxyType(ordered), bound=config.__eq__)
    assert_noticed(cell, lambda: setattr(config, "slope", 0.9))
    assert_noticed(cell, lambda: setattr(slots, "other", 0.9))
    assert_noticed(cell, lambda: lists[0].slope.append(0.9))
    assert_noticed(cell, lambda: setattr(simple, "slope", 0.9))
    assert_noticed(cell, lambda: setattr(simple, "added", 0.9))
    assert_noticed(cell, lambda: setattr(layers[0], "bias", None))
    assert_noticed(cell, lambda: ordered["a"].append(2))


def test_a_change_of_the_cell_itself_is_noticed() -> None:
    cell: Any = stack()
    assert_noticed(cell, lambda: setattr(cell.cell.cell, "_clip", None))
    assert_noticed(cell, lambda: setattr(cell.cell.cell, "_clip", 0.0))
    assert_noticed(cell, lambda: delattr(cell.cell.cell, "_clip"))
    assert_noticed(cell, cell.eval)
    assert_noticed(cell, lambda: cell.cell.cell.requires_grad_(False))
    assert_noticed(cell, cell.half)
    assert_noticed(cell, lambda: cell.to("meta"))
    assert_noticed(cell, lambda: cell.register_buffer("mask", torch.ones(2)))
    assert_noticed(cell, lambda: setattr(cell.cell.cell.bias, "gain", 2.0))
    assert_noticed(cell, lambda: cell.rates.update(h=0.2))


def test_hooks_are_noticed_where_the_step_runs_them() -> None:
    cell: Any = stack()
    found, seen = inspect(cell), []
    for one in (cell, cell.cell, cell.cell.cell):  # unroll runs these, before the step
        one.register_forward_pre_hook(lambda *given: seen.append(given))
        one.register_forward_hook(lambda *given: seen.append(given))
    assert accepts(found, cell)
    assert inspect(cell).digest == found.digest
    calling: Any = Plain(layer=nn.Linear(SIZE, SIZE), inner=GRUCell(2, SIZE))
    assert_noticed(calling, lambda: calling.layer.register_forward_pre_hook(lambda *given: None))
    assert_noticed(calling, lambda: calling.inner.register_forward_hook(lambda *given: None))


def test_a_parameter_that_is_replaced_by_one_like_it_is_given_instead() -> None:
    cell = GRUCell(2, SIZE)
    found = inspect(cell)
    cell.bias = nn.Parameter(torch.zeros_like(cell.bias))
    tensors = found.guard(cell)
    assert tensors is not None
    assert tensors[found.names.index("bias")] is cell.bias


def test_reading_and_copying_change_nothing() -> None:
    cell: Any = Plain(config=OmegaConf.create({"a": {"b": 1}}), values=Config(Access.READ | Access.WRITE))
    found = inspect(cell)
    assert cell.config.a.b == 1
    assert not Access.READ & Access.WRITE
    assert found.guard(copy.deepcopy(cell)) is not None
    assert inspect(cell).digest == found.digest


def test_which_tensors_are_one_and_the_same_is_noticed() -> None:
    cell = Plain()
    untied = inspect(cell)
    cell.b = cell.a
    assert untied.guard(cell) is None
    tied = inspect(cell)
    assert [t is cell.a for t in tied.tensors] == [True]
    cell.b = nn.Parameter(cell.a.detach().clone())
    assert tied.guard(cell) is None
    assert accepts(untied, Plain()) is False
    assert untied.guard(Plain()) is not None


def test_which_objects_are_one_and_the_same_is_noticed() -> None:
    shared, linear = [1.0], nn.Linear(SIZE, SIZE)
    found = inspect(Plain(p=shared, q=shared, m=linear, n=linear))
    other = inspect(Plain(p=[1.0], q=[1.0], m=linear, n=nn.Linear(SIZE, SIZE)))
    assert found.guard(Plain(p=[1.0], q=[1.0], m=linear, n=linear)) is None
    assert found.guard(Plain(p=shared, q=shared, m=linear, n=nn.Linear(SIZE, SIZE))) is None
    assert other.guard(Plain(p=shared, q=shared, m=linear, n=nn.Linear(SIZE, SIZE))) is None
    assert found.guard(copy.deepcopy(Plain(p=shared, q=shared, m=linear, n=linear))) is not None


OPAQUE: dict[str, Callable[[], Any]] = {
    "a Generator": torch.Generator,
    "a Random": random.Random,
    "a RandomState": np.random.RandomState,
    "a list_iterator": lambda: iter([1]),
    "a generator": lambda: (i for i in [1]),
    "a set of objects": lambda: {Mode.ONE},
    "a NumPy array of 131072 bytes: make it a buffer": lambda: np.zeros(2**14),
    "a UninitializedParameter without a shape": nn.parameter.UninitializedParameter,
}


@pytest.mark.parametrize("text", OPAQUE)
def test_what_cannot_be_followed_is_refused_by_the_name_of_its_attribute(text: str) -> None:
    with pytest.raises(Refused, match=rf"attribute .options\['x'\]\[1\]. holds {text}"):
        inspect(Plain(options={"x": [0, OPAQUE[text]()]}))


def test_a_cell_that_refers_to_too_much_is_refused() -> None:
    with pytest.raises(Refused, match=r"more than 20000 objects.*'numbers\[\d+\]'"):
        inspect(Plain(numbers=list(range(30_000))))


def test_cycles_and_deep_nesting_are_followed() -> None:
    nested: list[Any] = []
    for _ in range(1500):
        nested = [nested]
    cell: Any = Plain(nested=nested)
    cell.nested.append(cell)
    object.__setattr__(cell, "me", cell)
    assert_noticed(cell, lambda: object.__setattr__(cell, "me", Plain()))
    assert_noticed(cell, lambda: cell.nested.append(1))


def test_no_code_of_an_object_is_called() -> None:
    hostile = Hostile()
    values = HostileDict(x=hostile), HostileList([hostile]), Hostile()
    cell, changed = Plain(values=1.0, hostile=1, attributes=1), inspect(Plain(values=1.0, hostile=1, attributes=1))
    vars(cell).update(values=values, hostile=hostile)
    assert_noticed(cell, lambda: object.__getattribute__(hostile, "__dict__").update(gain=2.0))
    assert_noticed(cell, lambda: dict.update(values[0], y=1))
    assert changed.guard(cell) is None


def test_nothing_is_kept_alive() -> None:
    class Local(Plain):
        table = torch.ones(SIZE)

    cell = Local(scale=scaled_by(torch.ones(SIZE)), config=Config(torch.ones(SIZE)))
    found = inspect(cell)
    assert [len(found.tensors), len(found.outside)] == [3, 2]
    refs = [weakref.ref(o) for o in (cell, *found.tensors, *found.outside, Local, cell.config)]
    guard = found.guard
    del cell, found, Local
    gc.collect()
    assert [r() for r in refs] == [None] * len(refs)
    assert guard(Plain()) is None


def test_each_tensor_is_named_once_and_what_a_copy_must_share_is_told() -> None:
    shared: tuple[Any, ...] = (
        threading.Lock(),
        logging.getLogger("cell"),
        np,
        staticmethod(len),
        types.MappingProxyType({}),
    )
    cell: Any = Plain(layers=[nn.Linear(1, 1)], again=nn.Identity(), _scale=torch.ones(2), shared=shared)
    cell.again.register_buffer("mask", cell._scale)
    found = inspect(cell)
    assert sorted(found.names) == ["_scale", "a", "b", "layers[0].bias", "layers[0].weight"]
    assert {id(o) for o in found.uncopied} == set(map(id, shared))
    again = copy.deepcopy(cell, {id(one): one for one in found.uncopied})
    tensors = found.guard(again)
    assert tensors is not None
    assert tensors[found.names.index("_scale")] is again._scale


def test_the_digest_is_the_same_in_another_process() -> None:
    code = "from tests.fusion.guards.test_guards import *; print(*(inspect(cell).digest for cell in varied()))"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [inspect(cell).digest for cell in varied()]


def varied() -> list[nn.Module]:
    held = {"texts": {"a", "b", "c"}, "scale": scaled_by({"x", "y"}), "mode": Mode.ONE, "config": Config([torch.tanh])}
    return [stack(), Plain(**held), ReadingGlobals()]


@pytest.mark.parametrize("make", [lambda: GRUCell(8, 32), stack, Plain], ids=["one", "three", "own"])
def test_a_guard_costs_a_small_part_of_an_inspection(make: Callable[[], nn.Module]) -> None:
    guard, cell = inspect(make()).guard, make()
    assert guard(cell) is not None
    guarded, inspected = (
        min(timeit.repeat(work, number=5, repeat=5)) for work in (lambda: guard(cell), lambda: inspect(cell))
    )
    assert guarded < inspected / 20
