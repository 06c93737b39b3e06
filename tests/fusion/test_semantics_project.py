"""``project`` is ordinary code: run once, over the whole sequence, as ``eager`` runs it, whatever it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from seqmodels import unroll
from seqmodels.sequence import Fixed
from tests.fusion.running import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Double,
    Single,
    UserCell,
    assert_auto_equals_eager,
    assert_inference_equals_eager,
    cases,
    outcome,
    sequence,
)

Project = Callable[[Any, Tensor], Any]


@pytest.fixture(autouse=True)
def _as_torch_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CPP", "0")


class Projecting(UserCell):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.conv = nn.Linear(INPUT, HIDDEN), nn.Conv1d(INPUT, HIDDEN, 3)
        self.norm, self.wide = nn.BatchNorm1d(INPUT), nn.Linear(INPUT, 2 * HIDDEN)


def projecting(project: Project) -> Any:
    torch.manual_seed(0)
    return type("Projected", (Projecting,), {"project": project})().double()


def added_to(wx: Tensor, value: Tensor) -> Tensor:
    wx += value
    return wx


def added_through_a_view(wx: Tensor, value: Tensor) -> Tensor:
    wx.view(-1, HIDDEN).add_(value)
    return wx


def written_to(wx: Tensor) -> Tensor:
    wx[:, 0] = 0
    wx[..., 3:5] *= 2
    return wx


def hooked(wx: Tensor) -> Tensor:
    if wx.requires_grad:
        wx.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
    return wx


def checked(s: Any, x: Tensor) -> Tensor:
    if not torch.isfinite(x).all():
        raise ValueError("x is not finite")
    assert x.shape[:2] == (BATCH, TIME)
    assert float(x.detach().abs().max()) < 100
    return s.layer(x)


def by_steps(s: Any, x: Tensor) -> Tensor:
    return torch.stack([s.layer(x[:, t]) / (t + 1) for t in range(x.shape[1])], 1)


@torch.no_grad()
def without_gradient(s: Any, x: Tensor) -> Tensor:
    return s.layer(x)


def as_half(s: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return s.layer(x).to(x.dtype)


PROJECTS: dict[str, Project] = {
    "relu in place": lambda s, x: F.relu(s.layer(x), inplace=True),
    "relu_": lambda s, x: s.layer(x).relu_(),
    "dropout": lambda s, x: F.dropout(s.layer(x), 0.3),
    "dropout in place": lambda s, x: F.dropout(s.layer(x), 0.3, inplace=True),
    "added to in place": lambda s, x: added_to(s.layer(x), s.bias),
    "written to through a view": lambda s, x: added_through_a_view(s.layer(x), s.bias),
    "written to in part": lambda s, x: written_to(s.layer(x)),
    "a hook": lambda s, x: hooked(s.layer(x)),
    "a hook before an activation": lambda s, x: torch.tanh(hooked(s.layer(x))),
    "checks of values and shapes": checked,
    "numpy statistics": lambda s, x: s.layer(x) / float(x.detach().numpy().std()),
    "a view of known sizes": lambda s, x: s.layer(x).view(BATCH, TIME, HIDDEN),
    "a causal convolution": lambda s, x: s.conv(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2),
    "a convolution padded after": lambda s, x: F.pad(s.conv(x.transpose(1, 2)).transpose(1, 2), (0, 0, 2, 0)),
    "batch norm": lambda s, x: s.layer(s.norm(x.transpose(1, 2)).transpose(1, 2)),
    "the mean over time": lambda s, x: s.layer(x - x.mean(1, keepdim=True)),
    "the step before": lambda s, x: s.layer(x + F.pad(x, (0, 0, 1, -1))),
    "a sum over time": lambda s, x: s.layer(x).cumsum(1) / 10,
    "attention over time": lambda s, x: s.layer(torch.softmax(x @ x.transpose(1, 2), -1) @ x),
    "the mean over the batch": lambda s, x: s.layer(x - x.mean(0)),
    "step by step": by_steps,
    "the size of the batch": lambda s, x: s.layer(x) / x.shape[0],
    "the number of steps": lambda s, x: s.layer(x) / x.shape[1],
    "detach": lambda s, x: s.layer(x.detach()),
    "no_grad": without_gradient,
    "checkpointed": lambda s, x: checkpoint(s.layer, x, use_reentrant=False),
    "autocast": as_half,
    "a part": lambda s, x: s.wide(x)[..., :HIDDEN],
    "every other column": lambda s, x: s.wide(x)[..., ::2],
    "time first in memory": lambda s, x: s.layer(x.transpose(0, 1).contiguous()).transpose(0, 1),
    "expanded": lambda s, x: s.layer(x[:, :1]).expand(-1, x.shape[1], -1),
    "flipped": lambda s, x: s.layer(x).flip(1),
    "strided": lambda s, x: torch.as_strided(s.layer(x), (BATCH, TIME, HIDDEN), (TIME * HIDDEN, HIDDEN, 1)),
    "used twice": lambda s, x: (s.layer(x), s.layer(x).tanh())[1] + 0.1 * s.layer.bias,
    "linear": lambda s, x: F.linear(x, s.layer.weight) + x @ s.weight_ih.T,
    "einsum": lambda s, x: torch.einsum("bti,hi->bth", x, s.weight_ih),
    "a transformer layer": lambda s, x: s.layer(F.layer_norm(F.gelu(x), (INPUT,))),
    "other dtype": lambda s, x: s.layer(x).float().double(),
}


@pytest.mark.parametrize("project", cases(PROJECTS))
def test_project_may_do_what_it_likes(project: Project) -> None:
    cell = projecting(project)
    assert_auto_equals_eager(cell)
    assert_inference_equals_eager(cell)
    assert_inference_equals_eager(cell.eval())


def test_project_may_register_a_hook_that_needs_a_gradient() -> None:
    def project(s: Any, x: Tensor) -> Tensor:
        wx = s.layer(x)
        wx.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
        return wx

    assert_auto_equals_eager(projecting(project))


class Several(NamedTuple):
    wx: Any
    gain: Any
    weight: Any


class Structured(Projecting):
    """A cell whose ``project`` returns several things, one in another and one that is the same at every step."""

    def project(self, x: Tensor) -> Several:
        wide = self.wide(x)
        inner = Single(torch.sigmoid(wide[..., :1]))
        return Several(wide[..., HIDDEN:], inner, Fixed(self.weight_hh * (self.weight_hh > 0)))

    def step(self, wx: Several, state: Single) -> tuple[Tensor, Single]:
        h = torch.tanh(wx.wx + wx.gain.h * F.linear(state.h, wx.weight.value))
        return h, Single(h)


class Aliased(UserCell):
    """A cell whose ``project`` returns one tensor twice, and the input as it is."""

    def project(self, x: Tensor) -> Double:
        wx = super().project(x)
        return Double(wx, Double(wx, x))  # type: ignore[arg-type]

    def step(self, wx: Any, state: Single) -> tuple[Tensor, Single]:
        h = torch.tanh(self.added(wx.h + wx.c.h.sin(), state.h) * wx.c.c[:, :1])
        return h, Single(h)


@pytest.mark.parametrize("make", [Structured, Aliased])
def test_project_may_return_several_things(make: type[UserCell]) -> None:
    cell = make().double()
    assert_auto_equals_eager(cell)
    assert_auto_equals_eager(cell, lengths=torch.arange(BATCH) % TIME + 1)


class Asking(Projecting):
    """A cell that asks how what it projected lies in memory."""

    def project(self, x: Tensor) -> Tensor:
        wx = self.layer(x)
        return wx + wx.stride(0) / 10_000 + wx.stride(1) / 1000 + (0.1 if wx.is_contiguous() else 0.2)


@pytest.mark.parametrize("batch", [BATCH, 40], ids=["small", "large"])  # 40 x 110 x 30 doubles are more than a MiB
@pytest.mark.parametrize(
    "project",
    cases({name: PROJECTS[name] for name in ("relu_", "written to through a view", "strided", "linear")}),
)
def test_what_project_projects_lies_in_memory_as_in_eager(
    project: Project, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = TIME if batch == BATCH else 110
    monkeypatch.setitem(globals(), "BATCH", batch)
    monkeypatch.setitem(globals(), "TIME", time)
    cell = projecting(project)
    assert_auto_equals_eager(cell, sequence(cell, batch, time))
    asking = Asking().double()
    assert_auto_equals_eager(asking, sequence(asking, batch, time))


@pytest.mark.parametrize("refused", [False, True], ids=["derived", "refused"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_project_is_called_once_with_the_whole_sequence(training: bool, refused: bool) -> None:
    shapes = []

    def project(s: Any, x: Tensor) -> Tensor:
        shapes.append(tuple(x.shape))
        return s.layer(x)

    cell = projecting(project).train(training)
    if refused:
        cell.advance = lambda wx, h: torch.fft.fft(cell.added(wx, h)).real
    for call in range(1, 4):
        with torch.set_grad_enabled(training):
            unroll(cell, sequence(cell))
        assert shapes == [(BATCH, TIME, INPUT)] * call


def test_project_sees_the_whole_sequence_in_inference_however_long_it_is() -> None:
    cell = projecting(lambda s, x: s.layer(x - x.mean(1, keepdim=True))).eval()
    x = sequence(cell, 64, 2300)  # more than 32 MiB of projected input
    assert_inference_equals_eager(cell, x)


def test_batch_norm_in_project_counts_a_call_once() -> None:
    for momentum in (0.1, None):
        counts = []
        for backend in ("eager", "auto"):
            cell = projecting(PROJECTS["batch norm"])
            cell.norm.momentum = momentum
            for _ in range(3):
                outcome(cell, sequence(cell) + 3, backend=backend)
            counts.append({name: buffer.clone() for name, buffer in cell.named_buffers()})
        torch.testing.assert_close(counts[1], counts[0])
        assert int(counts[1]["norm.num_batches_tracked"]) == 3
