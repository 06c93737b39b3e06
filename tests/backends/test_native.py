"""PyTorch's kernels: what they take, and that padding costs neither exactness nor safety."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from seqmodels.backends import backends_for, unroll
from seqmodels.cells import ElmanCell, LSTMCell, ProjectedLSTMCell
from tests.backends.fakes import HIDDEN, INPUT, assert_same, with_gradients, with_random_parameters


class RenamedLSTMCell(LSTMCell):
    """A subclass may have another step, so the kernel of its parent does not fit."""


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (RenamedLSTMCell(INPUT, HIDDEN), "PyTorch has no kernel for RenamedLSTMCell"),
        (ElmanCell(INPUT, HIDDEN, activation="sigmoid"), "PyTorch has kernels for ElmanCell with tanh or relu"),
        (ProjectedLSTMCell(INPUT, HIDDEN), "oneDNN, PyTorch's kernel on the CPU in torch.float32"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_native_refuses_what_it_cannot_compute(cell: LSTMCell, reason: str) -> None:
    assert (backends_for(cell, torch.zeros(1, 1, INPUT))["native"] or "").startswith(reason)


def test_native_refuses_devices_it_was_not_checked_on() -> None:
    x = torch.zeros(1, 1, INPUT, device="meta")
    assert "not on meta" in (backends_for(LSTMCell(INPUT, HIDDEN), x)["native"] or "")


@pytest.mark.parametrize("name", ["step", "project", "initial_state", "forward"])
def test_native_refuses_a_cell_with_a_method_of_its_own(name: str) -> None:
    cell, x = LSTMCell(INPUT, HIDDEN), torch.zeros(1, 1, INPUT)
    setattr(cell, name, getattr(LSTMCell(INPUT, HIDDEN), name))
    assert backends_for(cell, x)["native"] == f"this LSTMCell has a method {name} of its own"
    delattr(cell, name)
    assert backends_for(cell, x)["native"] is None


@pytest.mark.parametrize("on", ["object", "class"])
@pytest.mark.parametrize("name", ["step", "project"])
def test_a_method_that_was_replaced_is_the_one_that_runs(name: str, on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = with_random_parameters(LSTMCell(INPUT, HIDDEN))
    x = torch.randn(2, 3, INPUT, dtype=torch.float64)
    before = unroll(cell, x)[0]
    if on == "object":
        monkeypatch.setattr(cell, name, replaced(getattr(cell, name)), raising=True)
    else:
        monkeypatch.setattr(LSTMCell, name, replaced(getattr(LSTMCell, name)))
        assert "step or project of LSTMCell is no longer" in (backends_for(cell, x)["native"] or "")
    y = unroll(cell, x)[0]
    torch.testing.assert_close(y, unroll(cell, x, backend="eager")[0])
    assert not torch.allclose(y, before)


def replaced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method whose result, or the first part of it, is doubled."""

    def double(*args: Any) -> Any:
        result = method(*args)
        return (2 * result[0], result[1]) if isinstance(result, tuple) else 2 * result

    return double


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_memory_is_held_through_a_long_padding(dtype: torch.dtype) -> None:
    cell = with_random_parameters(LSTMCell(INPUT, HIDDEN), dtype)
    x = torch.randn(2, 500, INPUT, dtype=dtype)
    lengths = torch.tensor([500, 3])
    expected = with_gradients(cell, x, lengths=lengths, backend="eager")
    assert_same(with_gradients(cell, x, lengths=lengths, backend="native"), expected)


def test_a_growing_state_does_not_overflow_in_the_padding() -> None:
    cell = with_random_parameters(ElmanCell(INPUT, HIDDEN, activation="relu"))
    with torch.no_grad():
        for parameter in cell.parameters():  # 15 times larger at every step: beyond float64 after 270 of them
            parameter.fill_(15 / HIDDEN)
    x = torch.randn(1, 600, INPUT, dtype=torch.float64)
    results = with_gradients(cell, x, lengths=torch.tensor([2]), backend="native")
    expected = with_gradients(cell, x[:, :2], backend="eager")
    assert all(value.isfinite().all() for value in results.values())
    assert_same(results, {name: value for name, value in expected.items() if name not in ("y", "gradient of x")})


def test_gradients_need_no_training_mode() -> None:
    cell = with_random_parameters(LSTMCell(INPUT, HIDDEN)).eval()
    x = torch.randn(2, 3, INPUT, dtype=torch.float64, requires_grad=True)
    unroll(cell, x, backend="native")[0].sum().backward()
    assert x.grad is not None
    assert x.grad.all()
