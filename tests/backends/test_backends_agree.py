"""Every back-end against ``eager``, the definition: outputs, final states and every gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqmodels.backends import BACKENDS, backends_for, unroll
from seqmodels.cells import (
    ALL_CELLS,
    Cell,
    ElmanCell,
    GRUCell,
    JordanCell,
    LearnedInitialState,
    LSTMCell,
    MinGRUCell,
    RecurrentDropout,
    WeightDrop,
    Zoneout,
)
from tests.backends.fakes import (
    BATCH,
    HIDDEN,
    INPUT,
    LENGTHS,
    RESETS,
    TIME,
    assert_same,
    random_state,
    with_gradients,
    with_random_parameters,
)
from tests.conftest import TOLERANCE

MAKERS: dict[str, Callable[[], Cell[Any]]] = {
    **{cell.__name__: partial(cell, INPUT, HIDDEN) for cell in ALL_CELLS},
    "ElmanCell relu": lambda: ElmanCell(INPUT, HIDDEN, activation="relu"),
    "ElmanCell sigmoid": lambda: ElmanCell(INPUT, HIDDEN, activation="sigmoid"),
    "JordanCell narrow": lambda: JordanCell(INPUT, HIDDEN, output_size=2),
    "LearnedInitialState": lambda: LearnedInitialState(LSTMCell(INPUT, HIDDEN)),
    "RecurrentDropout": lambda: RecurrentDropout(LSTMCell(INPUT, HIDDEN), 0.3),
    "Zoneout": lambda: Zoneout(LSTMCell(INPUT, HIDDEN), {"h": 0.2, "c": 0.4}),
    "Zoneout of a scan": lambda: Zoneout(MinGRUCell(INPUT, HIDDEN), {"h": 0.2}),
    "WeightDrop": lambda: WeightDrop(GRUCell(INPUT, HIDDEN), 0.3),
    "all at once": lambda: Zoneout(RecurrentDropout(WeightDrop(LSTMCell(INPUT, HIDDEN), 0.3), 0.2), {"c": 0.1}),
}


def in_single() -> list[str]:
    """Return the cells that are tested in single precision: those with kernels of their own, and two without.

    What the fused back-end compiles differs between the precisions in one typedef.
    """
    x = torch.zeros(BATCH, TIME, INPUT)
    own = [BACKENDS[name] for name in ("native", "scan")]
    found = [name for name, make in MAKERS.items() if any(one.refuses(make().effective(), x) is None for one in own)]
    return [*found, "GRUCell", "all at once"]


def drawn(name: str, dtype: torch.dtype = torch.float64) -> Cell[Any]:
    """Return a cell with small parameters: sums of as many terms as a state has would amplify what is rounded."""
    cell = with_random_parameters(MAKERS[name](), dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(0.4)
    return cell


def others(cell: Cell[Any], x: Tensor) -> list[str]:
    """Return the back-ends, beside eager, that run a cell; the fused one runs all."""
    found = [name for name, reason in backends_for(cell, x).items() if reason is None and name != "eager"]
    assert "fused" in found
    return found


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("given", [False, True], ids=["initial", "given"])
@pytest.mark.parametrize("name", MAKERS)
def test_every_backend_agrees(name: str, given: bool, ragged: bool, backwards: bool) -> None:
    assert_agree(name, torch.float64, given=given, ragged=ragged, backwards=backwards)


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("name", in_single())
def test_every_backend_agrees_in_single_precision(name: str, ragged: bool) -> None:
    assert_agree(name, torch.float32, given=True, ragged=ragged, backwards=False)


def assert_agree(name: str, dtype: torch.dtype, *, given: bool, ragged: bool, backwards: bool) -> None:
    cell = drawn(name, dtype)
    x = torch.randn(BATCH, TIME, INPUT, dtype=dtype)
    state = random_state(cell, x) if given else None
    lengths = torch.tensor(LENGTHS) if ragged else None
    assert_runs_agree(cell, x, state, lengths=lengths, reverse=backwards)
    assert_runs_agree(cell, x, state, lengths=lengths, reverse=backwards, resets=torch.tensor(RESETS))


def assert_runs_agree(cell: Cell[Any], x: Tensor, state: Any = None, **options: Any) -> None:
    """Compare outputs, final states and gradients of every back-end with those of eager, by the same masks."""
    torch.manual_seed(1)
    expected = with_gradients(cell, x, state, backend="eager", **options)
    for backend in others(cell, x):
        if backend == "native" and "resets" in options:
            continue
        torch.manual_seed(1)
        actual = with_gradients(cell, x, state, backend=backend, **options)
        assert_same(actual, expected, backend)


@pytest.mark.parametrize("shape", [(1, 1, INPUT), (1, 2, INPUT), (5, 3, INPUT), (2, 33, INPUT)], ids=str)
@pytest.mark.parametrize("name", MAKERS)
def test_every_backend_agrees_at_any_batch_and_time(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    lengths = torch.randint(1, shape[1] + 1, shape[:1])
    assert_runs_agree(drawn(name), x, lengths=lengths)


@pytest.mark.parametrize("name", MAKERS)
def test_every_backend_runs_without_gradients(name: str) -> None:
    cell = drawn(name).eval()
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    expected, _ = unroll(cell, x, lengths=torch.tensor(LENGTHS), backend="eager")
    for backend in others(cell, x):
        with torch.inference_mode():
            actual, _ = unroll(cell, x, lengths=torch.tensor(LENGTHS), backend=backend)
        assert_close(actual.clone(), expected, **TOLERANCE[torch.float64], msg=lambda text: f"{backend}: {text}")  # noqa: B023
        assert not actual.requires_grad


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "eager"])
def test_every_backend_runs_frozen_parameters(backend: str) -> None:
    for make in (LSTMCell, MinGRUCell):
        cell = with_random_parameters(make(INPUT, HIDDEN)).requires_grad_(False)
        x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64, requires_grad=True)
        if backends_for(cell, x)[backend] is None:
            actual = torch.autograd.grad(unroll(cell, x, backend=backend)[0].sin().sum(), x)
            expected = torch.autograd.grad(unroll(cell, x, backend="eager")[0].sin().sum(), x)
            assert_close(actual, expected, **TOLERANCE[torch.float64])


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("name", in_single())
def test_every_backend_runs_under_autocast(name: str, ragged: bool) -> None:
    cell = drawn(name, torch.float32).eval()
    x = torch.randn(BATCH, TIME, INPUT)
    lengths = torch.tensor(LENGTHS) if ragged else None
    expected, _ = unroll(cell, x, lengths=lengths, backend="eager")
    for backend in others(cell, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if "processor" in (backends_for(cell, x)[backend] or ""):  # it has no product of bfloat16
                continue
            actual, _ = unroll(cell, x, lengths=lengths, backend=backend)
        assert_close(actual.float(), expected, rtol=0.05, atol=0.05, msg=lambda text: f"{backend}: {text}")  # noqa: B023
