"""Under modes and transforms, and where results are changed in place, ``auto`` does what ``eager`` does."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from seqmodels import unroll
from seqmodels.layers import Recurrent
from tests.fusion.running import (
    BATCH,
    HIDDEN,
    TIME,
    Single,
    UserCell,
    assert_auto_equals_eager,
    cases,
    differences,
    outcome,
    sequence,
    written,
)

Both = dict[str, Any]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


def fresh() -> Any:
    """Return a cell of a class that nothing has been derived from."""
    torch.manual_seed(0)
    return written(lambda s, wx, h: torch.tanh(s.added(wx, h)))


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


CONTEXTS: dict[str, Callable[[], Any]] = {
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic algorithms": deterministic,
    "another default dtype": double_by_default,
    "a default device": lambda: torch.device("cpu"),
    "tensors saved elsewhere": torch.autograd.graph.save_on_cpu,
    "a dispatch mode": Watching,
    "multithreading off": lambda: torch.autograd.set_multithreading_enabled(False),
    "a profiler": torch.profiler.profile,
    "autocast off": lambda: torch.autocast("cpu", enabled=False),
    "grad mode set": lambda: torch.set_grad_enabled(True),
}


@pytest.mark.parametrize("context", cases(CONTEXTS))
def test_a_first_call_and_a_second_are_right_in_any_context(context: Callable[[], Any]) -> None:
    cell = fresh()
    with context():
        assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell)
    other = fresh()
    assert_auto_equals_eager(other)
    with context():
        assert_auto_equals_eager(other)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_cell_may_be_trained_after_inference(mode: Any) -> None:
    cell = fresh()
    with mode():
        first = unroll(cell, sequence(cell))
        torch.testing.assert_close(first, unroll(cell, sequence(cell), backend="eager"))
    assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell, state=Single(torch.randn(BATCH, HIDDEN, dtype=torch.float64)))


def results(run: Callable[[str], Any]) -> tuple[Any, Any]:
    return run("eager"), run("auto")


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode_derivatives_are_those_of_eager() -> None:
    cell = fresh()
    x, tangent = sequence(cell), torch.ones_like(sequence(cell))

    def forward(backend: str) -> Tensor:
        with forward_ad.dual_level():
            y, _ = unroll(cell, forward_ad.make_dual(x, tangent), backend=backend)
            return forward_ad.unpack_dual(y).tangent

    torch.testing.assert_close(*results(forward))
    torch.testing.assert_close(*results(lambda b: jvp(lambda v: unroll(cell, v, backend=b)[0], (x,), (tangent,))))


def test_transforms_of_functions_are_those_of_eager() -> None:
    cell = fresh()
    x, parameters = sequence(cell), {name: p.detach() for name, p in cell.named_parameters()}
    layer = nn.ModuleDict({name: Recurrent(cell, backend=name) for name in ("eager", "auto")})

    def loss(backend: str, given: Any, v: Tensor) -> Tensor:
        return functional_call(layer[backend], {f"cell.{name}": p for name, p in given.items()}, (v,))[0].sin().sum()

    torch.testing.assert_close(*results(lambda b: grad(lambda p: loss(b, p, x))(parameters)))
    torch.testing.assert_close(
        *results(lambda b: vmap(lambda v: unroll(cell, v, backend=b)[0])(x.expand(2, -1, -1, -1)))
    )
    others = {name: 0.5 * p for name, p in parameters.items()}
    torch.testing.assert_close(*results(lambda b: loss(b, others, x)))


def test_a_second_derivative_is_right_or_refused_in_words() -> None:
    cell = fresh()
    x = sequence(cell).requires_grad_()
    (first,) = torch.autograd.grad(unroll(cell, x)[0].sin().sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad(unroll(cell, x, backend="eager")[0].sin().sum(), x)
    torch.testing.assert_close(first, expected)
    with pytest.raises(RuntimeError, match="eager"):
        first.sum().backward()


def test_checkpointing_gives_the_same_gradients() -> None:
    cell = fresh()

    def gradients(backend: str) -> list[Tensor]:
        y = checkpoint(lambda v: unroll(cell, v, backend=backend)[0], sequence(cell), use_reentrant=False)
        return list(torch.autograd.grad(y.sin().sum(), list(cell.parameters())))

    torch.testing.assert_close(*results(gradients))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_module_computes_the_same() -> None:
    layer = Recurrent(fresh(), backend="auto").eval().requires_grad_(False)
    x = sequence(layer.cell, 5, 120)
    expected = layer(x)[0]
    traced = torch.jit.trace(lambda v: layer(v)[0], (x,), check_trace=False)
    torch.testing.assert_close(traced(2 * x), layer(2 * x)[0])
    torch.testing.assert_close(layer(x)[0], expected)


@pytest.mark.filterwarnings("ignore")
def test_an_exported_module_computes_the_same() -> None:
    layer = Recurrent(fresh(), backend="auto").eval()
    x = sequence(layer.cell, 5, 120)
    expected = layer(x)[0]
    program = torch.export.export(layer, (x,))
    torch.testing.assert_close(program.module()(x)[0], expected)
    torch.testing.assert_close(layer(x)[0], expected)


def test_an_output_may_be_changed_in_place() -> None:
    cell = fresh()
    x = sequence(cell, 64, 300)  # more than 4 MiB of output

    def gradients(backend: str) -> list[Tensor]:
        y, final = unroll(cell, x, backend=backend)
        y.mul_(0.5)
        y[:, 3:5] = 0
        return [y.detach(), *torch.autograd.grad(y.sum() + final.h.sin().sum(), list(cell.parameters()))]

    torch.testing.assert_close(*results(gradients))


@pytest.mark.parametrize("changed", ["input", "weight", "given state"])
def test_a_change_before_the_backward_pass_is_an_error_or_does_no_harm(changed: str) -> None:
    cell = fresh()

    def gradients(*, change: bool) -> list[Tensor]:
        torch.manual_seed(1)
        x, state = sequence(cell), Single(torch.randn(BATCH, HIDDEN, dtype=torch.float64))
        y, _ = unroll(cell, x, state)
        if change:
            with torch.no_grad():
                {"input": x, "weight": cell.weight_hh, "given state": state.h}[changed].add_(1)
        return list(torch.autograd.grad(y.sin().sum(), list(cell.parameters())))

    expected = gradients(change=False)
    try:
        actual = gradients(change=True)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017
    else:
        torch.testing.assert_close(actual, expected)


AUTOCAST: dict[str, Any] = {
    "layer norm of the input": lambda s, wx, h: torch.tanh(F.layer_norm(wx, (HIDDEN,)) + h @ s.weight_hh.T),
    "layer norm of the sum": lambda s, wx, h: torch.tanh(F.layer_norm(s.added(wx, h), (HIDDEN,))),
    "softmax": lambda s, wx, h: torch.softmax(wx, -1) + torch.tanh(h @ s.weight_hh.T),
    "exp of the input": lambda s, wx, h: torch.exp(-wx.square()) * h + torch.tanh(s.added(wx, h)),
    "a norm": lambda s, wx, h: torch.tanh(s.added(wx, h)) / (1 + wx.norm(dim=-1, keepdim=True)),
    "where": lambda s, wx, h: torch.where(wx > 0, wx, wx.expm1()) + torch.tanh(h @ s.weight_hh.T),
}


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("advance", cases(AUTOCAST))
def test_autocast_gives_nearly_the_same(advance: Any, ragged: bool) -> None:
    cell = written(advance).float()
    lengths = torch.arange(BATCH) % TIME + 1 if ragged else None
    expected = outcome(cell, sequence(cell), lengths=lengths, backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = outcome(cell, sequence(cell), lengths=lengths)
    for name, value in expected.items():
        torch.testing.assert_close(
            actual[name].float() / (1 + value.abs().max()), value / (1 + value.abs().max()), rtol=0, atol=0.1, msg=name
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_dtypes_give_nearly_the_same(dtype: torch.dtype) -> None:
    cell = fresh().to(dtype)
    assert not differences(outcome(cell, sequence(cell)), outcome(cell, sequence(cell), backend="eager"))


def test_a_module_may_be_saved_after_a_call() -> None:
    cell = UserAtTheTop().double()
    assert_auto_equals_eager(cell)
    stored = io.BytesIO()
    torch.save(cell, stored)
    stored.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = torch.load(stored, weights_only=False)
    assert not differences(outcome(other, sequence(other)), outcome(cell, sequence(cell), backend="eager"))


class UserAtTheTop(UserCell):
    """A cell that can be pickled."""
