"""A call leaves nothing behind, run or refused: no change in the cell, in torch or elsewhere, and nothing in memory."""

import gc
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn import functional as F

from seqmodels import unroll
from tests.fusion.running import HIDDEN, UserCell, assert_auto_equals_eager, sequence, written

Advance = Callable[[Any, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


STEPS: dict[str, Advance] = {
    "derived": lambda s, wx, h: torch.tanh(s.added(wx, h) + s.layer(h) * s.keep),
    "of an operator that is unknown": lambda s, wx, h: torch.tanh(torch.fft.fft(s.added(wx, h) + s.layer(h)).real),
    "a branch on numbers": lambda s, wx, h: s.added(wx, h).sin() if h.sum() > 0 else s.layer(h),
    "a number that is read": lambda s, wx, h: s.added(wx, h).sin() * float(s.keep.sum()) / 30,
    "along the batch": lambda s, wx, h: torch.tanh(s.added(wx, h) - h.mean(0)),
    "a product of states": lambda s, wx, h: torch.tanh(s.added(wx, h) + (h.T @ h).mean()),
    "random numbers": lambda s, wx, h: torch.tanh(F.dropout(s.added(wx, h), 0.2)),
}


def holding(advance: Advance) -> Any:
    torch.manual_seed(0)
    cell = written(advance, layer=nn.Linear(HIDDEN, HIDDEN).double(), options={"a": [1, 2]}, note="x")
    cell.register_buffer("keep", torch.ones(HIDDEN).double())
    cell.layer2 = cell.layer
    return cell


def attributes(cell: nn.Module) -> dict[str, Any]:
    """Return what a module holds by name, tensors by what they are and what they contain."""
    found: dict[str, Any] = {}
    for path, module in cell.named_modules(remove_duplicate=False):
        for name, value in {**vars(module), **module._parameters, **module._buffers}.items():
            key = f"{path}.{name}"
            if isinstance(value, Tensor):
                found[key] = (id(value), type(value), value._version, value.requires_grad, value.detach().tolist())
            else:
                found[key] = (id(value), repr(value))
    return found


def surroundings() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch._C._len_torch_dispatch_stack(),
        torch._C._functorch.maybe_current_level(),
        random.getstate(),
        str(np.random.get_state()),
        sys.getrecursionlimit(),
        torch.get_num_threads(),
    )


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("name", STEPS)
def test_a_call_changes_neither_the_cell_nor_the_surroundings(name: str, training: bool) -> None:
    cell = holding(STEPS[name]).train(training)
    x = sequence(cell)
    before, around, x_before = attributes(cell), surroundings(), x.clone()
    with torch.set_grad_enabled(training):
        unroll(cell, x)
        if name != "derived":
            with pytest.raises(ValueError, match="cannot run this"):
                unroll(cell, x, backend="fused")
    assert attributes(cell) == before
    assert surroundings() == around
    assert torch.equal(x, x_before)
    assert all(parameter.grad is None for parameter in cell.parameters())


@pytest.mark.parametrize("name", STEPS)
def test_a_call_draws_as_many_random_numbers_as_eager(name: str) -> None:
    states = []
    for backend in ("eager", "auto"):
        cell = holding(STEPS[name])
        cell.project = dropping(cell)
        torch.manual_seed(3)
        for _ in range(2):
            unroll(cell, sequence(cell), backend=backend)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def dropping(cell: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: F.dropout(type(cell).project(cell, x), 0.3)


@pytest.mark.parametrize("name", STEPS)
def test_a_cell_and_what_was_computed_are_freed(name: str) -> None:
    cell = holding(STEPS[name])
    x = sequence(cell).requires_grad_()
    y, final = unroll(cell, x)
    y.sum().backward()
    alive = [weakref.ref(thing) for thing in (cell, cell.layer, cell.weight_hh, x, y, final.h)]
    del cell, x, y, final
    gc.collect()
    assert [reference() for reference in alive] == [None] * len(alive)


def test_a_cell_whose_step_raises_is_freed() -> None:
    cell = holding(lambda s, wx, h: s.forgotten)
    with pytest.raises(AttributeError):
        unroll(cell, sequence(cell))
    alive = weakref.ref(cell)
    del cell
    gc.collect()
    assert alive() is None


@pytest.mark.long
def test_calls_with_many_values_of_an_attribute_do_not_fill_the_memory() -> None:
    cell = written(lambda s, wx, h: torch.tanh(s.slope * s.added(wx, h)), slope=0.0)
    counts = []
    for step in range(24):
        cell.slope = step / 100
        unroll(cell, sequence(cell))
        if step in (11, 23):
            gc.collect()
            counts.append(sum(issubclass(type(thing), torch.fx.GraphModule) for thing in gc.get_objects()))
    assert counts[1] - counts[0] < 24


def test_no_tensor_without_memory_stays_in_a_cell() -> None:
    class Collecting(UserCell):
        def advance(self, wx: Tensor, h: Tensor) -> Tensor:
            self.last = torch.tanh(self.added(wx, h))
            seen.append(self.last)
            return self.last

    seen: list[Tensor] = []
    cell = Collecting().double()
    for backend in ("auto", "eager"):
        unroll(cell, sequence(cell), backend=backend)
    assert not any(isinstance(tensor, FakeTensor) for tensor in (*seen, cell.last, *cell.parameters()))
    assert len(seen) == 2 * sequence(cell).shape[1]


def test_what_a_step_prints_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    def talking(s: Any, wx: Tensor, h: Tensor) -> Tensor:
        print("a step")  # noqa: T201
        return torch.tanh(s.added(wx, h))

    said = []
    for backend in ("eager", "auto"):
        unroll(cell := written(talking), sequence(cell), backend=backend)
        said.append(capsys.readouterr().out.count("a step"))
    assert said[1] >= said[0]


@pytest.mark.parametrize("name", STEPS)
def test_a_call_after_a_refusal_is_right(name: str) -> None:
    with pytest.raises(RuntimeError):
        unroll(written(lambda s, wx, h: h[:, :3] + wx), sequence(holding(STEPS[name])))
    torch.manual_seed(0)
    assert_auto_equals_eager(holding(STEPS[name]))
