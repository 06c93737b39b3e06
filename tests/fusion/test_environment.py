"""What happens to cells between and around fused calls: copies, forks, threads, other parameters, other shapes."""

import copy
import io
import os
import signal
import threading
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jvp
from torch.utils.checkpoint import checkpoint

from seqmodels.backends import unroll
from seqmodels.backends.eager import Eager
from seqmodels.cells import Cell, ElmanCell, GRUCell, JordanCell, LSTMCell, ProjectedLSTMCell, RecurrentDropout, Zoneout
from seqmodels.fusion.executor import Executor
from seqmodels.fusion.portable.executor import Portable
from seqmodels.layers import Recurrent
from tests.backends.fakes import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    assert_same,
    random_state,
    with_gradients,
    with_random_parameters,
)
from tests.conftest import TOLERANCE
from tests.fusion.running import EXECUTORS, Through, assert_equals_eager


class ReadsItsProduct(GRUCell):
    """A cell whose projected input is more than one product of the input."""

    def project(self, x: Tensor) -> Tensor:
        return super().project(x).tanh()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)


def lstm() -> Cell[Any]:
    return with_random_parameters(LSTMCell(INPUT, HIDDEN))


def assert_fused_is_eager(cell: Cell[Any], x: Tensor, **options: Any) -> None:
    torch.manual_seed(1)
    expected = with_gradients(cell, x, backend="eager", **options)
    torch.manual_seed(1)
    assert_same(with_gradients(cell, x, backend="fused", **options), expected)


def test_a_module_can_be_copied_and_pickled_between_calls(x: Tensor) -> None:
    layer = Recurrent(lstm(), backend="fused")
    expected, _ = layer(x)
    stored = io.BytesIO()
    torch.save(layer, stored)
    stored.seek(0)
    for other in (copy.deepcopy(layer), torch.load(stored, weights_only=False)):
        actual, _ = other(x)
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
        assert_fused_is_eager(other.cell, x)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_first_call_may_be_under_hooks_on_saved_tensors(executor: Executor, x: Tensor) -> None:
    # of sizes that nothing else derives
    kept, again = (with_random_parameters(GRUCell(INPUT, hidden)) for hidden in (23, 29))

    def output(cell: Cell[Any], backend: Any) -> Tensor:
        return backend(cell, x, cell.initial_state(x), None)[0]

    def gradients(cell: Cell[Any], y: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(y.sin().sum(), list(cell.parameters()))

    expected = [gradients(cell, output(cell, Eager())) for cell in (kept, again)]
    with torch.autograd.graph.save_on_cpu():
        y = output(kept, Through(executor))
    actual = [gradients(kept, y), gradients(again, checkpoint(output, again, Through(executor), use_reentrant=False))]
    for mine, eager in zip(actual, expected, strict=True):
        torch.testing.assert_close(mine, eager)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_trains(x: Tensor) -> None:
    cell = lstm()
    with_gradients(cell, x, backend="fused")  # threads and kernels of the parent are at work before the fork
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(100)  # a child that hangs must not hang the tests
            torch.set_num_threads(1)  # as a worker of a DataLoader does: torch's own threads did not survive the fork
            assert_fused_is_eager(cell, x)
            assert_fused_is_eager(with_random_parameters(ElmanCell(INPUT, HIDDEN)), x)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_may_trace_and_run_at_once(x: Tensor) -> None:
    # of a size that nothing else derives
    cells = [with_random_parameters(make(INPUT, 9)) for make in (LSTMCell, GRUCell, ElmanCell, LSTMCell)]
    expected = [with_gradients(cell, x, backend="eager") for cell in cells]
    actual: dict[int, dict[str, Tensor]] = {}

    def work(index: int) -> None:
        actual[index] = with_gradients(cells[index], x, backend="fused")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(cells))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, wanted in enumerate(expected):
        assert_same(actual[index], wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute:UserWarning")
def test_a_compiled_model_around_it_gives_the_same(x: Tensor) -> None:
    model = nn.Sequential(nn.Linear(INPUT, INPUT), Recurrent(lstm(), backend="fused")).double()
    expected, _ = model(x)
    compiled = torch.compile(model, backend="eager")
    actual, _ = compiled(x)
    torch.testing.assert_close(actual, expected, **TOLERANCE[torch.float64])
    actual.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
def test_autocast_gives_nearly_the_same_and_every_gradient(ragged: bool) -> None:
    cell = with_random_parameters(LSTMCell(INPUT, HIDDEN), torch.float32)
    x = torch.randn(BATCH, TIME, INPUT)
    lengths = torch.tensor([4, 7, 1]) if ragged else None
    expected = with_gradients(cell, x, lengths=lengths, backend="fused")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = with_gradients(cell, x, lengths=lengths, backend="fused")
    for name, value in expected.items():
        torch.testing.assert_close(actual[name].float(), value, rtol=0.1, atol=0.1, msg=name)


def test_a_second_derivative_is_refused_in_words(x: Tensor) -> None:
    cell = lstm()
    state = random_state(cell, x.requires_grad_())
    y, _ = unroll(cell, x, state, backend="fused")
    everything = [x, *state, *cell.parameters()]
    gradients = torch.autograd.grad(y.sum(), everything, create_graph=True)  # linear: y itself leads nowhere
    with pytest.raises(RuntimeError, match="backend='eager'"):
        torch.cat([gradient.flatten() for gradient in gradients]).sum().backward(retain_graph=True)
    for gradient in gradients:
        for tensor in everything:  # None would pass for 0
            with pytest.raises(RuntimeError, match="backend='eager'"):
                torch.autograd.grad(gradient.sum(), tensor, retain_graph=True, allow_unused=True)


@pytest.mark.parametrize("kind", [GRUCell, ReadsItsProduct], ids=lambda kind: kind.__name__)
def test_a_hessian_is_refused_instead_of_0(x: Tensor, kind: Any) -> None:
    cell = with_random_parameters(kind(INPUT, HIDDEN))

    def loss(leaf: Tensor) -> Tensor:
        return unroll(cell, leaf, backend="fused")[0].sum()

    for call in (partial(torch.autograd.functional.hessian, loss, x), partial(jvp, loss, x, torch.ones_like(x))):
        with pytest.raises(RuntimeError, match="backend='eager'"):
            call()


def test_changed_attributes_are_noticed(x: Tensor) -> None:
    cell = Zoneout(lstm(), {"h": 0.3, "c": 0.2})
    for mode in (True, False, True):
        assert_fused_is_eager(cell.train(mode), x)
    cell.rates["h"] = 0.7
    assert_fused_is_eager(cell, x)
    assert_fused_is_eager(cell.eval(), x)
    dropped = RecurrentDropout(lstm(), 0.3)
    for p in (0.3, 0.6, 0.0):
        dropped.p = p
        assert_fused_is_eager(dropped, x)


class Scaled(ElmanCell):
    """A cell whose step reads a plain number."""

    scale = 1.0

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        h = torch.tanh(wx + self.scale * (state[0] @ self.weight_hh.t()))
        return h, type(state)(h)


def test_a_number_that_the_step_reads_may_change(x: Tensor) -> None:
    cell = with_random_parameters(Scaled(INPUT, HIDDEN))
    for scale in (1.0, 0.5, 0.25):
        setattr(cell, "scale", scale)  # noqa: B010 - a module types what is assigned to it
        assert_fused_is_eager(cell, x)


def test_a_number_of_the_class_may_change(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = with_random_parameters(Scaled(INPUT, HIDDEN))
    assert_fused_is_eager(cell, x)
    monkeypatch.setattr(Scaled, "scale", 0.5)
    assert_fused_is_eager(cell, x)


def test_replaced_parameters_are_used(x: Tensor) -> None:
    cell = LSTMCell(INPUT, HIDDEN)
    assert_fused_is_eager(cell, x.float())
    cell.load_state_dict(LSTMCell(INPUT, HIDDEN).state_dict())
    assert_fused_is_eager(cell, x.float())
    cell.weight_hh = nn.Parameter(torch.randn_like(cell.weight_hh))
    assert_fused_is_eager(cell, x.float())
    assert_fused_is_eager(cell.double(), x)


@pytest.mark.parametrize("frozen", ["weight_ih", "weight_hh", "bias", "weight_ih weight_hh bias"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_frozen_parameters_get_no_gradient(executor: Executor, frozen: str, x: Tensor) -> None:
    cell = with_random_parameters(GRUCell(INPUT, HIDDEN))
    for name in frozen.split():
        getattr(cell, name).requires_grad_(False)

    def gradients(backend: Any) -> list[Tensor | None]:
        leaf = x.clone().requires_grad_()
        cell.zero_grad(set_to_none=True)
        y, _ = backend(cell, leaf, cell.initial_state(leaf), None)
        y.sin().sum().backward()
        return [leaf.grad, *(parameter.grad for parameter in cell.parameters())]

    for actual, expected in zip(gradients(Through(executor)), gradients(Eager()), strict=True):
        if expected is None:
            assert actual is None
        else:
            torch.testing.assert_close(actual, expected, **TOLERANCE[torch.float64])


def test_an_input_may_want_no_gradient(x: Tensor) -> None:
    cell = lstm()

    def gradients(backend: str) -> list[Tensor]:
        y, _ = unroll(cell, x, backend=backend)
        return list(torch.autograd.grad(y.sin().sum(), list(cell.parameters())))

    torch.testing.assert_close(gradients("fused"), gradients("eager"), **TOLERANCE[torch.float64])


@pytest.mark.parametrize("use", ["y", "last", "state", "sum", "one field"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_loss_may_use_any_part_of_the_result(executor: Executor, use: str, x: Tensor) -> None:
    cell = with_random_parameters(LSTMCell(INPUT, HIDDEN))
    losses = {
        "y": lambda y, _: y.sin().sum(),
        "last": lambda y, _: y[:, -1].sin().sum(),
        "state": lambda _, final: sum(leaf.sin().sum() for leaf in final),
        "sum": lambda y, _: y.sum(),
        "one field": lambda _, final: final[1].sum(),
    }

    def gradients(backend: Any) -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        loss = losses[use](*backend(cell, leaf, cell.initial_state(leaf), torch.tensor([4, 7, 1])))
        return list(torch.autograd.grad(loss, [leaf, *cell.parameters()]))

    torch.testing.assert_close(gradients(Through(executor)), gradients(Eager()), **TOLERANCE[torch.float64])


@pytest.mark.parametrize(
    "shape", [(1, 1, INPUT), (1, 5, INPUT), (5, 1, INPUT), (2, 33, INPUT), (17, 3, INPUT)], ids=str
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_any_batch_and_time(executor: Executor, shape: tuple[int, ...]) -> None:
    cell, x = with_random_parameters(LSTMCell(INPUT, HIDDEN)), torch.randn(shape, dtype=torch.float64)
    assert_equals_eager(executor, cell, x, random_state(cell, x), torch.randint(1, shape[1] + 1, shape[:1]))


@pytest.mark.parametrize("hidden", [1, 2, 67])
@pytest.mark.parametrize("make", [GRUCell, ProjectedLSTMCell])
def test_any_width_as_torch_operators(make: type[Cell[Any]], hidden: int) -> None:
    x = torch.randn(BATCH, TIME, 1, dtype=torch.float64)
    assert_equals_eager(Portable(), with_random_parameters(make(1, hidden)), x)


@pytest.mark.parametrize("hidden", [1, 67])
def test_any_width(hidden: int) -> None:
    x = torch.randn(BATCH, TIME, 1, dtype=torch.float64)
    assert_fused_is_eager(with_random_parameters(GRUCell(1, hidden)), x)


def test_an_input_of_any_strides() -> None:
    cell = lstm()
    for x in (
        torch.randn(TIME, BATCH, INPUT, dtype=torch.float64).transpose(0, 1),
        torch.randn(BATCH, INPUT, TIME, dtype=torch.float64).transpose(1, 2),
        torch.randn(BATCH, 1, INPUT, dtype=torch.float64).expand(-1, TIME, -1),
        torch.randn(BATCH, 2 * TIME, INPUT, dtype=torch.float64)[:, ::2],
    ):
        assert_fused_is_eager(cell, x)


def test_a_state_of_any_strides(x: Tensor) -> None:
    cell = lstm()
    h = torch.randn(HIDDEN, BATCH, dtype=torch.float64).t()
    c = torch.randn(1, HIDDEN, dtype=torch.float64).expand(BATCH, -1)
    assert_fused_is_eager(cell, x, state=type(cell.initial_state(x))(h, c))


@pytest.mark.parametrize("make", [LSTMCell, JordanCell])
def test_inference_of_a_long_ragged_batch(make: type[Cell[Any]]) -> None:
    cell = with_random_parameters(make(1, 130), torch.float32).eval()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(0.2)
    lengths = torch.tensor([700, 1, 16, 17, 350])
    x = torch.randn(5, 700, 1)
    with torch.inference_mode():
        actual, final = unroll(cell, x, lengths=lengths, backend="fused")
        expected, end = unroll(cell, x, lengths=lengths, backend="eager")
    for one, other in zip((actual, *final), (expected, *end), strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE[torch.float32])


def test_what_the_padding_holds_changes_nothing(x: Tensor) -> None:
    cell, lengths = lstm(), torch.tensor([4, 7, 1])
    expected = with_gradients(cell, x, lengths=lengths, backend="fused")
    spoiled = x.clone()
    spoiled[0, 4:] = float("nan")
    spoiled[2, 1:] = float("inf")
    assert_same(with_gradients(cell, spoiled, lengths=lengths, backend="fused"), expected)
