"""What the fused back-end does around the programs: chunks of time, falling back."""

import logging
import sys
from typing import Any

import pytest
import torch

from seqmodels.backends import unroll
from seqmodels.cells import Cell, GRUCell, LearnedInitialState, LSTMCell
from seqmodels.fusion import choice
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.layers import Recurrent
from tests.backends.fakes import random_state
from tests.conftest import TOLERANCE

back_end = sys.modules["seqmodels.backends.fused"]
BATCH, TIME, INPUT, HIDDEN = 5, 53, 3, 7


@pytest.mark.parametrize("steps", [None, [15, 16, 20, 32, 47]], ids=["one sequence", "several"])
@pytest.mark.parametrize("lengths", [None, [53, 1, 16, 17, 40]], ids=["whole", "ragged"])
@pytest.mark.parametrize("kind", [LSTMCell, GRUCell])
def test_inference_in_chunks_is_inference_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, kind: type[Cell[Any]], lengths: list[int] | None, steps: list[int] | None
) -> None:
    cell = kind(INPUT, HIDDEN).double().eval()
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    limits = None if lengths is None else torch.tensor(lengths)
    given = random_state(cell, x)
    resets = None if steps is None else torch.zeros(BATCH, TIME, dtype=torch.bool)
    if resets is not None:
        resets[: BATCH - 1, steps] = True
    monkeypatch.setattr(back_end, "CHUNK", 1)  # 16 steps at a time
    with torch.no_grad():
        expected, last = unroll(cell, x, given, lengths=limits, resets=resets, backend="eager")
        actual, state = unroll(cell, x, given, lengths=limits, resets=resets, backend="fused")
    torch.testing.assert_close((actual, *state), (expected, *last), **TOLERANCE[torch.float64])


@pytest.mark.parametrize("learned", [True, False], ids=["the initial state", "the given state"])
def test_a_state_has_a_gradient_where_nothing_else_needs_one(learned: bool) -> None:
    cell = LearnedInitialState(GRUCell(INPUT, HIDDEN)).double().requires_grad_(False)
    given = random_state(cell, x := torch.randn(BATCH, 7, INPUT, dtype=torch.float64))
    wanted = cell.initial["h"].requires_grad_() if learned else given.h
    given = type(given)(given.h.requires_grad_(not learned))
    resets = torch.zeros(BATCH, 7, dtype=torch.bool)
    resets[1:, 3], resets[2, 0] = True, True
    found = []
    for backend in ("eager", "fused"):
        y, _ = unroll(cell, x, given, resets=resets, backend=backend)
        found.append(torch.autograd.grad(y.square().sum(), wanted)[0])
    torch.testing.assert_close(found[1], found[0], **TOLERANCE[torch.float64])


@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
def test_a_failed_build_is_told_once_and_the_portable_executor_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, train: bool
) -> None:
    attempts = []

    def fail(*_: object) -> None:
        attempts.append(1)
        raise BuildFailed("the compiler has gone")

    monkeypatch.setattr("seqmodels.fusion.cpp.executor.library", fail)
    monkeypatch.setattr("seqmodels.fusion.validate.recorded", lambda _: False)  # as if it had never been compared
    monkeypatch.setattr("seqmodels.fusion.cpp.executor._kernels", {})
    monkeypatch.setattr(choice, "reason", lambda: None)
    choice._warn.cache_clear()
    fused = back_end.Fused()
    cell = GRUCell(INPUT, HIDDEN).train(train)
    x = torch.randn(BATCH, TIME, INPUT)
    with caplog.at_level(logging.WARNING), torch.set_grad_enabled(train):
        fused(cell, x, cell.initial_state(x[:, 0]), None)
        attempted = len(attempts)
        actual, _ = fused(cell, x, cell.initial_state(x[:, 0]), None)
        assert len(attempts) == attempted, "what cannot be built is compared and built again at every call"
        expected, _ = unroll(cell, x, backend="eager")
    torch.testing.assert_close(actual, expected, **TOLERANCE[torch.float32])
    assert [record.getMessage() for record in caplog.records].count(
        "fused kernels run as torch operators, not compiled: the compiler has gone"
    ) == 1


def test_transforms_of_torch_func_are_left_to_other_backends() -> None:
    cell = GRUCell(INPUT, HIDDEN)
    x = torch.randn(64, 64, INPUT)  # large enough for auto to fuse
    weights = {name: parameter.detach() for name, parameter in cell.named_parameters()}

    def total(given: dict[str, torch.Tensor], backend: str) -> torch.Tensor:
        layer = Recurrent(cell, backend=backend)
        y, _ = torch.func.functional_call(layer, {f"cell.{name}": value for name, value in given.items()}, (x,))
        return y.sum()

    actual, expected = (torch.func.grad(total)(weights, backend) for backend in ("auto", "eager"))
    torch.testing.assert_close(actual, expected, **TOLERANCE[torch.float32])
    with pytest.raises(ValueError, match=r"torch\.func"):
        torch.func.grad(total)(weights, "fused")
