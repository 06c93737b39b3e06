"""Every back-end against ``eager``, the definition: outputs, final states and every gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
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


def pairs(dtype: torch.dtype) -> list[Any]:
    """Every cell with every back-end, beside eager, that runs it in ``dtype``."""
    x = torch.zeros(BATCH, TIME, INPUT, dtype=dtype)
    reasons = {name: backends_for(make().to(dtype), x) for name, make in MAKERS.items()}
    return [
        pytest.param(name, backend, id=f"{name}-{backend}")
        for name, refused in reasons.items()
        for backend, reason in refused.items()
        if reason is None and backend != "eager"
    ]


IN_DOUBLE, IN_SINGLE = pairs(torch.float64), pairs(torch.float32)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize("given", [False, True], ids=["initial", "given"])
@pytest.mark.parametrize(("name", "backend"), IN_DOUBLE)
def test_every_backend_agrees(name: str, backend: str, given: bool, ragged: bool, backwards: bool) -> None:
    assert_agrees(name, backend, torch.float64, given=given, ragged=ragged, backwards=backwards)


@pytest.mark.parametrize("ragged", [False, True], ids=["whole", "ragged"])
@pytest.mark.parametrize(("name", "backend"), IN_SINGLE)
def test_every_backend_agrees_in_single_precision(name: str, backend: str, ragged: bool) -> None:
    assert_agrees(name, backend, torch.float32, given=True, ragged=ragged, backwards=False)


def assert_agrees(name: str, backend: str, dtype: torch.dtype, *, given: bool, ragged: bool, backwards: bool) -> None:
    cell = with_random_parameters(MAKERS[name](), dtype)
    x = torch.randn(BATCH, TIME, INPUT, dtype=dtype)
    state = random_state(cell, x) if given else None
    options: dict[str, Any] = {"lengths": torch.tensor(LENGTHS) if ragged else None, "reverse": backwards}
    torch.manual_seed(1)  # the same masks in both runs
    expected = with_gradients(cell, x, state, backend="eager", **options)
    torch.manual_seed(1)
    actual = with_gradients(cell, x, state, backend=backend, **options)
    assert_same(actual, expected)


@pytest.mark.parametrize("shape", [(1, 1, INPUT), (1, 2, INPUT), (5, 3, INPUT), (2, 33, INPUT)], ids=str)
@pytest.mark.parametrize(("name", "backend"), IN_DOUBLE)
def test_every_backend_agrees_at_any_batch_and_time(name: str, backend: str, shape: tuple[int, ...]) -> None:
    cell = with_random_parameters(MAKERS[name]())
    x = torch.randn(shape, dtype=torch.float64)
    lengths = torch.randint(1, shape[1] + 1, shape[:1])
    torch.manual_seed(1)
    expected = with_gradients(cell, x, lengths=lengths, backend="eager")
    torch.manual_seed(1)
    actual = with_gradients(cell, x, lengths=lengths, backend=backend)
    assert_same(actual, expected)


@pytest.mark.parametrize(("name", "backend"), IN_DOUBLE)
def test_every_backend_runs_without_gradients(name: str, backend: str) -> None:
    cell = with_random_parameters(MAKERS[name]()).eval()
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    expected, _ = unroll(cell, x, lengths=torch.tensor(LENGTHS), backend="eager")
    with torch.inference_mode():
        actual, _ = unroll(cell, x, lengths=torch.tensor(LENGTHS), backend=backend)
    assert_close(actual.clone(), expected, **TOLERANCE[torch.float64])
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
@pytest.mark.parametrize(("name", "backend"), IN_SINGLE)
def test_every_backend_runs_under_autocast(name: str, backend: str, ragged: bool) -> None:
    cell = with_random_parameters(MAKERS[name](), torch.float32).eval()
    x = torch.randn(BATCH, TIME, INPUT)
    lengths = torch.tensor(LENGTHS) if ragged else None
    expected, _ = unroll(cell, x, lengths=lengths, backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        if "processor" in (why := backends_for(cell, x)[backend] or ""):
            pytest.skip(why)
        actual, _ = unroll(cell, x, lengths=lengths, backend=backend)
    assert_close(actual.float(), expected, rtol=0.05, atol=0.05)  # bfloat16 has three digits
