"""What ``eager`` runs, ``auto`` runs: cells built in odd ways, and steps that no one would trace gladly."""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqmodels import unroll
from seqmodels.cells import GRUCell
from tests.fusion.running import (
    BATCH,
    HIDDEN,
    TIME,
    Double,
    UserCell,
    assert_auto_equals_eager,
    cases,
    outcome,
    sequence,
    written,
)

Advance = Callable[[Any, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def ones(h: Tensor) -> Tensor:
    return torch.ones(h.shape[0], 1, dtype=h.dtype)


CONSTANTS: dict[str, Advance] = {
    "a ones column in a product": lambda s, wx, h: torch.tanh(wx + torch.cat([h, ones(h)], 1) @ s.wide.T),
    "a ones column in front": lambda s, wx, h: torch.tanh(wx + torch.cat([ones(h), h], 1) @ s.wide.T),
    "nothing but ones": lambda s, wx, h: torch.tanh(wx + torch.ones_like(h) @ s.weight_hh.T) + 0.1 * h,
    "zeros": lambda s, wx, h: torch.tanh(wx + torch.zeros_like(h) @ s.weight_hh.T),
    "a padded state": lambda s, wx, h: torch.tanh(wx + F.pad(h, (0, 1), value=1.0) @ s.wide.T),
    "a number spread": lambda s, wx, h: torch.tanh(s.added(wx, h) * torch.full((h.shape[0], 1), 0.5, dtype=h.dtype)),
    "eye": lambda s, wx, h: torch.tanh(wx + h @ (s.weight_hh - 0.1 * torch.eye(HIDDEN))),
    "arange": lambda s, wx, h: torch.tanh(s.added(wx, h) * torch.arange(HIDDEN)),
    "a list of numbers": lambda s, wx, h: torch.tanh(s.added(wx, h) + torch.tensor([0.1, 0.2] * (HIDDEN // 2))),
    "an array": lambda s, wx, h: torch.tanh(s.added(wx, h) + torch.as_tensor(np.linspace(0, 1, HIDDEN))),
    "a constant where": lambda s, wx, h: torch.where(h > 0, torch.ones_like(h), torch.tanh(s.added(wx, h))),
    "a constant output": lambda s, wx, h: torch.full_like(h, 0.5),
}


@pytest.mark.parametrize("advance", cases(CONSTANTS))
def test_constants_may_be_part_of_a_step(advance: Advance) -> None:
    wide = nn.Parameter(torch.randn(HIDDEN, HIDDEN + 1).double() / 9)
    assert_auto_equals_eager(written(advance, wide=wide))


class Watched(NamedTuple):
    wx: Tensor
    seen: Tensor


class Observing(UserCell):
    """A cell that is told which numbers were observed, and remembers where its state was large."""

    def __init__(self, condition: Callable[[Any, Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.condition = condition
        self.register_buffer("keep", torch.arange(HIDDEN) % 3 > 0)

    def initial_state(self, x: Tensor) -> Double:
        return Double(self.zeros(x), torch.zeros(x.shape[0], HIDDEN, dtype=torch.bool))

    def project(self, x: Tensor) -> Watched:
        return Watched(super().project(x), x[..., :1] > 0)

    def step(self, wx: Watched, state: Double) -> tuple[Tensor, Double]:
        h, large = state
        h = torch.where(self.condition(self, wx.seen, h, large), torch.tanh(self.added(wx.wx, h)), h + 0.1)
        return h, Double(h, h > 0.3)


CONDITIONS: dict[str, Callable[[Any, Tensor, Tensor, Tensor], Tensor]] = {
    "from project": lambda s, seen, h, large: seen,
    "a buffer": lambda s, seen, h, large: s.keep,
    "a state": lambda s, seen, h, large: large,
    "what is not a state": lambda s, seen, h, large: ~large,
    "all of them": lambda s, seen, h, large: seen & s.keep & ~large,
    "any of them": lambda s, seen, h, large: torch.logical_or(seen, s.keep) | large,
    "a product of masks": lambda s, seen, h, large: seen * large,
    "different masks": lambda s, seen, h, large: seen != large,
    "what is finite": lambda s, seen, h, large: torch.isfinite(h) & seen,
    "a sum of masks": lambda s, seen, h, large: (seen.int() + large.int() + s.keep.int()) > 1,
    "a mask of numbers": lambda s, seen, h, large: (seen.double() * 0.7 + large.double() * 0.4) > 0.5,
    "a filled mask": lambda s, seen, h, large: large.masked_fill(s.keep, True),
    "a part of masks": lambda s, seen, h, large: torch.cat([large[:, :10], s.keep[10:].expand(h.shape[0], -1)], 1),
    "any of a row": lambda s, seen, h, large: large.any(-1, keepdim=True) & seen,
}


@pytest.mark.parametrize("condition", cases(CONDITIONS))
def test_masks_may_come_from_anywhere(condition: Any) -> None:
    cell = Observing(condition).double()
    assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell, lengths=torch.arange(BATCH) % TIME + 1)


def twice_the_same(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    return torch.tanh(wx + s.one(torch.tanh(s.two(h))))


def layer() -> nn.Linear:
    return nn.Linear(HIDDEN, HIDDEN).double()


def shared_module() -> UserCell:
    one = layer()
    return written(twice_the_same, one=one, two=one)


def shared_weight() -> UserCell:
    cell = written(twice_the_same, one=layer(), two=layer())
    cell.two.weight = cell.one.weight
    return cell


def shared_with_the_cell() -> UserCell:
    cell = written(twice_the_same, one=layer(), two=layer())
    cell.two.weight = cell.weight_hh
    return cell


def module_in_lists() -> UserCell:
    one = layer()
    return written(twice_the_same, layers=nn.ModuleList([one, one]), one=one, two=one)


def deep_module() -> UserCell:
    last = nn.Sequential(nn.Linear(3, HIDDEN), nn.Tanh())
    whole = nn.Sequential(nn.Linear(HIDDEN, 3), nn.GELU(), last).double()
    return written(twice_the_same, one=whole, two=last[1])


def parameters_in_containers() -> UserCell:
    many = nn.ParameterList([nn.Parameter(torch.randn(HIDDEN, HIDDEN).double() / 9) for _ in range(2)])
    named = nn.ParameterDict({"a": nn.Parameter(torch.ones(HIDDEN).double()), "b": many[0]})
    return written(
        lambda s, wx, h: torch.tanh(wx + h @ s.many[1] * s.named["a"] + h @ s.named["b"]), many=many, named=named
    )


def hidden_from_the_module() -> UserCell:
    return written(lambda s, wx, h: torch.tanh(wx + s.held[0](h)), held=[layer()])


def hidden_tensor() -> UserCell:
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * s._scale, _scale=torch.linspace(0, 1, HIDDEN))


def hidden_array() -> UserCell:
    array = np.linspace(0, 1, HIDDEN)
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * torch.from_numpy(s._scale), _scale=array)


def hidden_dict() -> UserCell:
    held = {"scale": torch.ones(HIDDEN), 3: [torch.ones(2), None]}
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * s._held["scale"], _held=held)


def tensor_that_wants_a_gradient() -> UserCell:
    scale = torch.linspace(0, 1, HIDDEN).double().requires_grad_()
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * s._scale, _scale=scale)


def empty_parameter() -> UserCell:
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)), nothing=nn.Parameter(torch.zeros(0, 3).double()))


def dictionary_of_itself() -> UserCell:
    cell = written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * s.held["gain"], held={"gain": 0.5})
    cell.held["cell"] = cell.held
    return cell


@pytest.mark.parametrize(
    "make",
    [
        shared_module,
        shared_weight,
        shared_with_the_cell,
        module_in_lists,
        deep_module,
        parameters_in_containers,
        hidden_from_the_module,
        hidden_tensor,
        hidden_array,
        hidden_dict,
        tensor_that_wants_a_gradient,
        empty_parameter,
        dictionary_of_itself,
    ],
)
def test_a_cell_may_hold_things_as_it_likes(make: Callable[[], UserCell]) -> None:
    cell = make()
    before = {name: type(value) for name, value in cell.named_parameters()}
    assert_auto_equals_eager(cell)
    assert {name: type(value) for name, value in cell.named_parameters()} == before


def many_operators(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    v = s.added(wx, h)
    for k in range(200):
        v = torch.sin(v + 0.01 * k) + 0.1 * wx
    return v


def many_products(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    for _ in range(30):
        h = torch.tanh(s.added(wx, h))
    return h


def many_pieces(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    return torch.tanh(wx + torch.cat([(k + 1) / HIDDEN * column.sin() for k, column in enumerate(h.split(1, -1))], -1))


def many_terms(s: Any, wx: Tensor, h: Tensor) -> Tensor:
    return torch.tanh(reduce(operator.add, (h.roll(k, -1) * wx / (k + 2) for k in range(100))))


@pytest.mark.long
@pytest.mark.parametrize("advance", [many_operators, many_products, many_pieces, many_terms])
def test_a_step_may_be_long(advance: Advance) -> None:
    assert_auto_equals_eager(written(advance))


WRONG: dict[str, Advance] = {
    "widths that do not fit": lambda s, wx, h: torch.tanh(wx + h[:, :10]),
    "a product that does not fit": lambda s, wx, h: torch.tanh(wx + h[:, :10] @ s.weight_hh),
    "a mask for another batch": lambda s, wx, h: torch.tanh(s.added(wx, h)) * s.rows,
    "a column that is not there": lambda s, wx, h: torch.tanh(s.added(wx, h)) + h[:, HIDDEN, None],
    "a view that cannot be": lambda s, wx, h: torch.tanh(s.added(wx, h)[:, ::2].view(-1)).view(-1, 15),
    "numbers as a condition": lambda s, wx, h: torch.where(h, wx, s.added(wx, h)),
    "a write that does not fit": lambda s, wx, h: torch.zeros(h.shape[0], 1, dtype=h.dtype).add_(s.added(wx, h)),
    "columns that do not stack": lambda s, wx, h: torch.stack([h, wx[:, :3]]).sum(0),
    "an argument that is not there": lambda s, wx, h: s.added(wx, h, 3),
    "a name that is not there": lambda s, wx, h: torch.tanh(s.added(wx, h)) * s.forgotten,
    "an exception of its own": lambda s, wx, h: [][len(wx)],
}


@pytest.mark.parametrize("advance", cases(WRONG))
def test_what_eager_rejects_auto_rejects_in_the_same_way(advance: Advance) -> None:
    cell = written(advance, rows=torch.ones(BATCH + 1, HIDDEN))
    with pytest.raises(Exception) as expected:
        outcome(cell, sequence(cell), backend="eager")
    with pytest.raises(expected.type):
        outcome(cell, sequence(cell))


def test_a_mask_for_one_batch_is_right_for_that_batch_alone() -> None:
    cell = written(lambda s, wx, h: torch.tanh(s.added(wx, h)) * s.rows)
    cell.register_buffer("rows", torch.linspace(0, 1, BATCH * HIDDEN).view(BATCH, HIDDEN))
    assert_auto_equals_eager(cell)
    with pytest.raises(RuntimeError):
        unroll(cell, sequence(cell, BATCH + 1, TIME))
    assert_auto_equals_eager(cell)


def test_a_step_that_unrolls_a_cell_itself_does_not_wait_for_its_own_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqmodels.backends.unrolling.TINY", 1)  # auto takes fused kernels also for the inner one

    class Outer(UserCell):
        def __init__(self) -> None:
            super().__init__()
            self.inner = GRUCell(1, HIDDEN)

        def advance(self, wx: Tensor, h: Tensor) -> Tensor:
            y, _ = unroll(self.inner, wx[..., None])
            return torch.tanh(y[:, -1] + h)

    assert_auto_equals_eager(Outer().double())
