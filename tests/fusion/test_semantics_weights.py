"""Parameters and buffers count as they are at a call: which are one, which want a gradient, what they hold."""

from typing import Any

import pytest
import torch
from torch import nn

from seqmodels import unroll
from tests.fusion.running import HIDDEN, assert_auto_equals_eager, assert_change_is_noticed, sequence, written


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def tied(names: str) -> Any:
    """Return a cell of three weights, of which those that are named are one."""
    torch.manual_seed(0)
    cell = written(lambda s, wx, h: torch.tanh(s.added(wx, h) + h @ s.a - (h @ s.b).sin() + 0.5 * (h @ s.c).cos()))
    for name in "abc":
        cell.register_parameter(name, nn.Parameter(torch.randn(HIDDEN, HIDDEN).double() / 10))
    for name in names[1:]:
        setattr(cell, name, getattr(cell, names[0]))
    return cell


def test_which_weights_are_one_is_noticed() -> None:
    for names in ("a", "ab", "bc", "ac", "abc", "b"):
        assert_auto_equals_eager(tied(names))
    cell = tied("a")
    assert_change_is_noticed(cell, lambda: setattr(cell, "b", cell.a))
    assert_change_is_noticed(cell, lambda: setattr(cell, "b", nn.Parameter(cell.c.detach().clone())))


def test_buffers_and_parameters_count_as_they_are_now() -> None:
    cell = written(lambda s, wx, h: torch.tanh(s.added(wx, h) * s.keep) if s.bias.requires_grad else wx)
    cell.register_buffer("keep", torch.ones(HIDDEN).double())
    assert_change_is_noticed(cell, lambda: cell.keep.__setitem__(slice(0, 9), 0.1))
    assert_change_is_noticed(cell, lambda: setattr(cell, "keep", cell.keep.bool() & (torch.arange(HIDDEN) % 2 == 0)))
    assert_change_is_noticed(cell, lambda: cell.bias.requires_grad_(False))
    cell.bias.requires_grad_(True)
    assert_auto_equals_eager(cell)


def test_a_slope_that_changes_at_every_call_is_right_at_every_call() -> None:
    cell = written(lambda s, wx, h: torch.tanh(s.slope * s.added(wx, h)), slope=1.0)
    for step in range(6):
        cell.slope = 1 + step / 7
        assert_auto_equals_eager(cell)


def test_a_parameter_that_is_not_used_has_no_gradient() -> None:
    cell = written(lambda s, wx, h: torch.tanh(s.added(wx, h) + h @ s.a.detach()))
    for name in ("a", "b"):
        cell.register_parameter(name, nn.Parameter(torch.randn(HIDDEN, HIDDEN).double() / 10))
    for backend in ("eager", "auto"):
        cell.zero_grad(set_to_none=True)
        unroll(cell, sequence(cell), backend=backend)[0].sum().backward()
        assert [name for name, parameter in cell.named_parameters() if parameter.grad is None] == ["a", "b"], backend
