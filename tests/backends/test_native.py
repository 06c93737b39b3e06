"""PyTorch's kernels: what they take, and that padding costs neither exactness nor safety."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from seqmodels.backends import backends_for, unroll
from seqmodels.backends.native import Native, _in_one_piece, _projected_weights
from seqmodels.cells import ElmanCell, LSTMCell, ProjectedLSTMCell
from tests.backends.fakes import HIDDEN, INPUT, assert_same, with_gradients, with_random_parameters

CUDNN: Any = torch.backends.cudnn.rnn


class RenamedLSTMCell(LSTMCell):
    """A subclass may have another step, so the kernel of its parent does not fit."""


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (RenamedLSTMCell(INPUT, HIDDEN), "PyTorch has no kernel for RenamedLSTMCell"),
        (ElmanCell(INPUT, HIDDEN, activation="sigmoid"), "PyTorch has kernels for ElmanCell with tanh or relu"),
        (ProjectedLSTMCell(INPUT, HIDDEN), "oneDNN, PyTorch's kernel on the CPU in torch.float32"),
        (ProjectedLSTMCell(INPUT, 1), "PyTorch's kernels project to less than the hidden size 1, not to 1"),
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


@pytest.fixture
def _precisions() -> Iterator[None]:
    """Restore the settings of the process."""
    before = torch.get_float32_matmul_precision(), CUDNN.fp32_precision
    yield
    torch.set_float32_matmul_precision(before[0])
    CUDNN.fp32_precision = before[1]


class _Seen(torch.autograd.Function):
    """Records the precision of cuDNN when it runs forwards and backwards."""

    seen: ClassVar[list[str]] = []

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        del ctx
        _Seen.seen.append(CUDNN.fp32_precision)
        return tuple(tensor.clone() for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        del ctx
        _Seen.seen.append(CUDNN.fp32_precision)
        return gradients


@pytest.mark.usefixtures("_precisions")
@pytest.mark.parametrize(
    ("matmul", "cudnn", "expected"), [("highest", "tf32", "ieee"), ("high", "ieee", "tf32"), ("high", "tf32", "tf32")]
)
def test_cudnn_is_as_precise_as_matmul_forwards_and_backwards(
    matmul: str, cudnn: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_float32_matmul_precision(matmul)
    CUDNN.fp32_precision = cudnn
    monkeypatch.setattr(_Seen, "seen", [])
    monkeypatch.setattr(torch, "lstm", lambda x, state, *_: _Seen.apply(x.new_zeros(2, 3, HIDDEN), *state))
    cell = LSTMCell(INPUT, HIDDEN, device="meta")
    x = torch.zeros(2, 3, INPUT, device="meta")
    state = cell.initial_state(x[:, 0])
    y, _ = Native().run(cell, x, type(state)(*(leaf.requires_grad_() for leaf in state)), None)
    assert CUDNN.fp32_precision == cudnn
    y.sum().backward()
    assert _Seen.seen == [expected, expected]
    assert CUDNN.fp32_precision == cudnn


def test_a_kernel_that_fails_leaves_the_precision_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch, "lstm", failing)
    before, cell = CUDNN.fp32_precision, LSTMCell(INPUT, HIDDEN, device="meta")
    x = torch.zeros(2, 3, INPUT, device="meta")
    with pytest.raises(RuntimeError, match="out of memory"):
        Native().run(cell, x, cell.initial_state(x[:, 0]), None)
    assert CUDNN.fp32_precision == before


def test_weights_for_cudnn_are_views_of_one_buffer_in_its_order() -> None:
    weights = _projected_weights(ProjectedLSTMCell(INPUT, HIDDEN))
    views = _in_one_piece(weights)
    assert all(torch.equal(view, weight) for view, weight in zip(views, weights, strict=True))
    in_memory = sorted(range(5), key=lambda i: views[i].data_ptr())
    assert in_memory == [0, 1, 4, 2, 3]  # the projection before the biases
    for first, second in pairwise(in_memory):
        assert views[first].data_ptr() + views[first].nbytes == views[second].data_ptr()
