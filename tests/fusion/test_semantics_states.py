"""States and attributes of every kind: what ``initial_state`` and ``step`` set, count and pass on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from seqmodels import unroll
from tests.fusion.running import (
    BATCH,
    HIDDEN,
    TIME,
    Double,
    Single,
    UserCell,
    assert_auto_equals_eager,
    cases,
    differences,
    outcome,
    sequence,
)


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


class Anything(NamedTuple):
    h: Tensor
    rest: Any


class Carrying(UserCell):
    """A cell that carries something beside its numbers."""

    def __init__(self, first: Callable[[Tensor], Any], update: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.first, self.update = first, update

    def initial_state(self, x: Tensor) -> Anything:
        return Anything(self.zeros(x), self.first(x))

    def step(self, wx: Tensor, state: Anything) -> tuple[Tensor, Anything]:
        rest = self.update(state.rest, state.h)
        gain = rest if isinstance(rest, int | float) else 1.0
        h = torch.tanh(self.added(wx, state.h)) * gain
        return h, Anything(h, rest)


CARRIED: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any, Tensor], Any]]] = {
    "a count": (lambda x: 0, lambda n, h: (n + 1) % 3),
    "a number": (lambda x: 1.0, lambda n, h: 0.9 * n),
    "a flag": (lambda x: False, lambda n, h: not n),
    "nothing": (lambda x: None, lambda n, h: None),
    "nothing at first": (lambda x: None, lambda n, h: h.sin()),
    "a list": (lambda x: [x.new_zeros(len(x), 2)], lambda n, h: [n[0] + h[:, :2]]),
    "a list that grows": (lambda x: [x.new_zeros(len(x), 1)], lambda n, h: [*n, h[:, :1]][-3:]),
    "a text": (lambda x: "a", lambda n, h: n),
    "a pair": (lambda x: (x.new_zeros(len(x), 1), x.new_ones(len(x), 2)), lambda n, h: (n[0] + 1, n[1] * h[:, :2])),
    "no columns": (lambda x: x.new_zeros(len(x), 0), lambda n, h: n),
    "one number": (lambda x: x.new_zeros(()), lambda n, h: n + 1),
    "a number for each row": (lambda x: x.new_zeros(len(x)), lambda n, h: n + h.mean(-1)),
    "a row without a batch": (lambda x: x.new_zeros(HIDDEN), lambda n, h: n + h.mean(0)),
    "a table": (lambda x: x.new_zeros(len(x), 2, 3), lambda n, h: 0.9 * n + h[:, :6].view(-1, 2, 3)),
    "what becomes wider": (lambda x: x.new_zeros(len(x), 1), lambda n, h: n + h),
    "more and more columns": (lambda x: x.new_zeros(len(x), 1), lambda n, h: torch.cat([n, h[:, :1]], 1)),
    "its own old value": (lambda x: x.new_zeros(len(x), HIDDEN), lambda n, h: h),
    "what stays": (lambda x: x.new_ones(len(x), 2), lambda n, h: n),
}


@pytest.mark.parametrize("carried", cases(CARRIED))
def test_a_state_may_hold_what_it_likes(carried: Any) -> None:
    cell = Carrying(*carried).double()
    results = []
    for backend in ("eager", "auto"):
        y, final = unroll(cell, sequence(cell), backend=backend)
        results.append({"y": y.detach(), "h": final.h.detach()})
        assert type(final) is Anything
        kind = type(final.rest)
    assert not differences(results[1], results[0])
    assert kind is type(unroll(cell, sequence(cell), backend="eager")[1].rest)
    if "text" not in str(final.rest) and kind is not str:
        assert_auto_equals_eager(cell)


class Setting(UserCell):
    """Cells that set attributes of theirs while they run; what they set is part of what they compute."""

    gate: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gate", torch.ones(HIDDEN))
        self.count, self.seen = 0, [0.0]


class CachedGain(Setting):
    def initial_state(self, x: Tensor) -> Single:
        self.gain = torch.exp(self.bias)
        return Single(self.zeros(x))

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.added(wx, h * self.gain))


class CachedWeight(Setting):
    def project(self, x: Tensor) -> Tensor:
        self.normal = self.weight_hh / self.weight_hh.norm()
        return super().project(x)

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(wx + h @ self.normal)


class DrawnMask(Setting):
    def initial_state(self, x: Tensor) -> Single:
        self.mask = torch.bernoulli(torch.full((x.shape[0], HIDDEN), 0.5, dtype=x.dtype))
        return Single(self.zeros(x))

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.added(wx, h * self.mask))


class BufferSet(Setting):
    def initial_state(self, x: Tensor) -> Single:
        self.gate = torch.full((HIDDEN,), 0.5, dtype=x.dtype)
        return Single(self.zeros(x))

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.added(wx, h * self.gate))


class BufferCounts(Setting):
    def initial_state(self, x: Tensor) -> Single:
        self.gate = torch.zeros(HIDDEN, dtype=x.dtype)
        return Single(self.zeros(x))

    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.gate = self.gate + 1
        return torch.tanh(self.added(wx, h)) / self.gate


class BufferCountsInPlace(BufferCounts):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        with torch.no_grad():
            self.gate.add_(1)
        return torch.tanh(self.added(wx, h)) / self.gate.clone()


class Counts(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.count += 1
        return torch.tanh(self.added(wx, h)) / self.count


class CountsWithoutEffect(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.count += 1
        return torch.tanh(self.added(wx, h))


class CountsInAList(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.seen[0] += 1
        return torch.tanh(self.added(wx, h))


class Remembers(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.last = torch.tanh(self.added(wx, h))
        return self.last


class Collects(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.seen.append(h.detach())  # type: ignore[arg-type]
        return torch.tanh(self.added(wx, h))


class Alternates(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        self.count = 1 - self.count
        return torch.tanh(self.added(wx, h)) if self.count else torch.sin(self.added(wx, h))


class RunningMean(Setting):
    def advance(self, wx: Tensor, h: Tensor) -> Tensor:
        with torch.no_grad():
            self.gate.lerp_(h.mean(0).to(self.gate), 0.1)
        return torch.tanh(self.added(wx, h) - self.gate.clone())


@pytest.mark.parametrize(
    "make",
    [
        CachedGain,
        CachedWeight,
        DrawnMask,
        BufferSet,
        BufferCounts,
        BufferCountsInPlace,
        Counts,
        CountsWithoutEffect,
        CountsInAList,
        Remembers,
        Collects,
        Alternates,
        RunningMean,
    ],
)
def test_what_a_cell_sets_while_it_runs_is_set_as_in_eager(make: type[Setting]) -> None:
    results = []
    for backend in ("eager", "auto"):
        torch.manual_seed(0)
        cell = make().double()
        found = outcome(cell, sequence(cell), backend=backend)
        found |= {f"second {name}": value for name, value in outcome(cell, sequence(cell), backend=backend).items()}
        found |= {"count": torch.tensor(cell.count), "collected": torch.tensor(len(cell.seen))}
        found |= {"first": torch.tensor(cell.seen[0]), "gate": cell.gate.detach().clone()}
        for name in ("last", "gain", "mask", "normal"):
            if isinstance(value := getattr(cell, name, None), Tensor):
                found[name] = value.detach().clone()
        results.append(found)
    assert not differences(results[1], results[0])


def test_a_state_that_is_given_is_left_as_it_is() -> None:
    class Writing(UserCell):
        def step(self, wx: Tensor, state: Single) -> tuple[Tensor, Single]:
            h = torch.tanh(self.added(wx, state.h))
            return h.clone().mul_(2), Single(h)

    cell = Writing().double()
    given = Single(torch.randn(BATCH, HIDDEN, dtype=torch.float64))
    before = given.h.clone()
    assert_auto_equals_eager(cell, sequence(cell), given)
    assert torch.equal(given.h, before)


def test_a_step_may_write_into_its_state() -> None:
    class Writing(UserCell):
        def step(self, wx: Tensor, state: Double) -> tuple[Tensor, Double]:
            h = torch.tanh(self.added(wx, state.h))
            state.c.mul_(0.9).add_(h.detach())
            return h + state.c.clone(), Double(h, state.c)

        def initial_state(self, x: Tensor) -> Any:
            return Double(self.zeros(x), self.zeros(x))

    cell = Writing().double()
    assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell, sequence(cell, BATCH, TIME + 1))
