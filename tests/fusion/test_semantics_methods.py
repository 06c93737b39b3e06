"""The step that counts is the one that the cell has now: set on it, on its class, or by a class of its own."""

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.backends import BACKENDS
from seqmodels.cells import Cell, ElmanCell, GRUCell, LSTMCell, MinGRUCell, MinLSTMCell, ResetAfterGRUCell
from tests.fusion.running import BATCH, HIDDEN, INPUT, REFUSED, TIME, differences, outcome, sequence

KINDS: list[type[Any]] = [ElmanCell, GRUCell, LSTMCell, MinGRUCell, MinLSTMCell, ResetAfterGRUCell]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def made(kind: type[Any]) -> Cell[Any]:
    torch.manual_seed(0)
    return kind(INPUT, HIDDEN).double()


def assert_every_backend_equals_eager(cell: Cell[Any]) -> None:
    """Compare every back-end, ``auto`` among them, that does not refuse; and see that ``eager`` does something new."""
    x, lengths = sequence(cell, BATCH, TIME), torch.arange(BATCH) % TIME + 1
    expected = outcome(cell, x, lengths=lengths, backend="eager")
    usual = outcome(made(type(cell).__mro__[0] if type(cell) in KINDS else type(cell).__mro__[1]), x, lengths=lengths)
    assert not torch.equal(usual["y"], expected["y"]), "nothing has changed"
    for backend in ("auto", *BACKENDS):
        try:
            actual = outcome(cell, x, lengths=lengths, backend=backend)
        except ValueError as error:
            assert REFUSED in str(error)  # noqa: PT017 - a refusal is one of two right answers
            assert backend != "auto"
        else:
            assert not (found := differences(actual, expected)), (backend, found)


def halved(cell: Any, wx: Any, state: Any) -> tuple[Tensor, Any]:
    y, new = type(cell).step(cell, wx, state)
    return 0.5 * y, type(new)(*(leaf.sin() for leaf in new))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a method as step": lambda cell: setattr(cell, "step", MethodType(halved, cell)),
    "a function as step": lambda cell: setattr(cell, "step", lambda wx, state: halved(cell, wx, state)),
    "a function as project": lambda cell: setattr(cell, "project", lambda x: type(cell).project(cell, x).sin()),
    "a first state": lambda cell: setattr(cell, "initial_state", first_state(cell)),
}


def first_state(cell: Any) -> Callable[[Tensor], Any]:
    def initial_state(x: Tensor) -> Any:
        return type(usual := type(cell).initial_state(cell, x))(*(leaf + 0.5 for leaf in usual))

    return initial_state


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_method_that_is_set_on_a_cell_counts(kind: type[Any], change: str) -> None:
    cell = made(kind)
    CHANGES[change](cell)
    assert_every_backend_equals_eager(cell)


def test_coefficients_that_are_set_on_a_linear_cell_count() -> None:
    cell: Any = made(MinGRUCell)
    cell.coefficients = lambda wx: (0.9 * torch.ones_like(wx[..., :HIDDEN]), wx[..., HIDDEN:].sin())
    assert_every_backend_equals_eager(cell)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_a_class_of_its_own_counts(kind: type[Any]) -> None:
    own = type("Own", (kind,), {"step": lambda self, wx, state: halved_of(kind, self, wx, state)})
    assert_every_backend_equals_eager(made(own))


def halved_of(kind: type[Any], cell: Any, wx: Any, state: Any) -> tuple[Tensor, Any]:
    y, new = kind.step(cell, wx, state)
    return 0.5 * y, new


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_patched_counts(kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    usual, cell = kind.step, made(kind)
    x = sequence(cell, BATCH, TIME)
    before = outcome(cell, x)
    monkeypatch.setattr(
        kind, "step", lambda self, wx, state: (2 * usual(self, wx, state)[0], usual(self, wx, state)[1])
    )
    for backend in ("auto", "eager"):
        assert not torch.allclose(outcome(cell, x, backend=backend)["y"], before["y"])
    assert not differences(outcome(cell, x), outcome(cell, x, backend="eager"))
    monkeypatch.undo()
    assert not differences(outcome(cell, x), before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_that_is_no_parameter_counts(kind: type[Any]) -> None:
    cell: Any = made(kind)
    name, weight = next((n, p) for n, p in cell.named_parameters() if p.dim() == 2)
    delattr(cell, name)
    setattr(cell, name, F.normalize(weight.detach(), dim=1))
    assert_every_backend_equals_eager(cell)
