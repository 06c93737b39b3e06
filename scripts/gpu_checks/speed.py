"""Whole layers, forward and backward, beside those of ``torch.nn`` in the same dtype, in turns in one process."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from benchmarking.cases import CASES
from benchmarking.timing import geometric_mean
from torch import Tensor, nn

from gpu_checks.common import DTYPES, WRAPPERS, Limit, Place, Records
from gpu_checks.kernels import Wanted, wanted
from seqmodels.backends import unroll
from seqmodels.cells import Cell
from seqmodels.fusion.kernels.build_failed import BuildFailed

Call = Callable[[], object]
Shape = tuple[int, int, int]  # time, batch, hidden

SHAPES: tuple[Shape, ...] = (
    *((512, 16, 512), (512, 64, 128), (64, 128, 512), (512, 32, 256), (512, 16, 64), (1024, 16, 768)),
    *((512, 32, 1024), (128, 128, 512), (35, 20, 650), (2048, 8, 256), (1000, 1, 256)),
)
TINY: tuple[Shape, ...] = ((4, 3, 16), (3, 18, 40))
SHORT: Shape = (35, 20, 650)
LONG: Shape = (512, 16, 512)


class Goal(NamedTuple):
    """A row of the table: the least geometric mean over shapes of their time over ours."""

    title: str
    cell: str
    dtype: str
    least: float
    shapes: tuple[Shape, ...]
    backend: str = "fused"


WIDE = tuple(shape for shape in SHAPES if shape[2] >= 256)
NARROW = tuple(shape for shape in SHAPES if shape[2] <= 128)
GOALS = (
    Goal("bf16 GRU", "GRUCell", "bf16", 5.0, SHAPES),
    Goal("bf16 LSTM", "LSTMCell", "bf16", 6.0, SHAPES),
    Goal("TF32 GRU from 256 on", "GRUCell", "tf32", 4.0, WIDE),
    Goal("TF32 LSTM from 256 on", "LSTMCell", "tf32", 4.5, WIDE),
    Goal("fp16 GRU from 256 on", "GRUCell", "fp16", 3.5, WIDE),
    Goal("fp16 LSTM from 256 on", "LSTMCell", "fp16", 1.7, WIDE),
    Goal("bf16 forget-input", "ForgetInputCell", "bf16", 6.0, SHAPES),
    Goal("bf16 without output gate", "NoOutputGateLSTMCell", "bf16", 6.0, SHAPES),
    Goal("bf16 Elman", "ElmanCell", "bf16", 8.0, SHAPES),
    *(
        Goal(f"auto up to 128, {d} {c}", c, d, 1.0, NARROW, "auto")
        for d in ("tf32", "fp16")
        for c in ("LSTMCell", "ResetAfterGRUCell")
    ),
)
MOST = {"lengths": 1.3, "resets": 1.3, "recurrent dropout": 1.3, "zoneout": 1.3, "layer norm": 1.6}
"""Most that these may take, of the plain cell's time."""


def kernels(card: Any, goals: tuple[Goal, ...]) -> Iterator[Wanted]:
    """Yield the kernels that the comparisons take first, to compile them together."""
    made = {(goal.cell, goal.dtype, shape[1:]) for goal in goals if goal.backend == "fused" for shape in goal.shapes}
    for cell, dtype, (batch, hidden) in sorted(made):
        with suppress(BuildFailed):  # reported when the kernel is run
            yield from wanted(cell, CASES[cell].cell(hidden, hidden), DTYPES[dtype], batch, card, ragged=False)


def ours(place: Place, cell: Cell[Any], shape: Shape, dtype: torch.dtype, backend: str, **options: Any) -> Call:
    """Return one forward and backward pass of a cell, over an input that lies time first, as that of ``torch.nn``."""
    x = torch.randn(shape[0], shape[1], cell.input_size, device=place.device, dtype=dtype)
    x = x.transpose(0, 1).requires_grad_()
    cell = cell.to(place.device, dtype)
    inputs = [x, *cell.parameters()]
    dy = torch.randn(shape[0], shape[1], cell.output_size, device=place.device, dtype=dtype).transpose(0, 1)
    return lambda: torch.autograd.grad(unroll(cell, x, backend=backend, **options)[0], inputs, dy, allow_unused=True)


def theirs(place: Place, cell: str, shape: Shape, dtype: torch.dtype) -> Call:
    """Return one forward and backward pass of the layer of ``torch.nn``, its weights in one block of memory."""
    time, batch, hidden = shape
    layer = CASES[cell].peer(hidden, hidden).to(place.device, dtype)
    if not place.dry:
        with torch.no_grad():  # flatten_parameters leaves bf16 as it is
            mode = torch.backends.cudnn.rnn.get_cudnn_mode(layer.mode)
            sizes = (mode, hidden, 0, 1, False, False)
            torch._cudnn_rnn_flatten_weight(layer._flat_weights, 4, hidden, *sizes)
    x = torch.randn(time, batch, hidden, device=place.device, dtype=dtype, requires_grad=True)
    dy, inputs = torch.randn_like(x), [x, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(x)[0], inputs, dy)


def in_turns(place: Place, sides: dict[str, Call], seconds: float) -> dict[str, float]:
    """Return the median time of each side, which run in turns: what else the machine does falls on all."""
    for side in sides.values():
        for _ in range(1 if place.dry else 3):
            side()
    place.synchronize()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    end = time.monotonic() + seconds
    while len(next(iter(taken.values()))) < 3 or time.monotonic() < end:
        for name, side in sides.items():
            taken[name].append(place.seconds(side))
    return {name: statistics.median(found) for name, found in taken.items()}


def check_goals(place: Place, limit: Limit, records: Records, seconds: float) -> None:
    """Compare with ``torch.nn``, and print a geometric mean for each row of the table of goals."""
    for goal in GOALS:
        ratios = []
        for shape in TINY if place.dry else goal.shapes:
            if limit.over():
                continue
            dtype, hidden = DTYPES[goal.dtype], shape[2]
            try:
                cell = CASES[goal.cell].cell(hidden, hidden)
                sides = {
                    "ours": ours(place, cell, shape, dtype, goal.backend),
                    "theirs": theirs(place, goal.cell, shape, dtype),
                }
                found = in_turns(place, sides, seconds)
            except Exception as error:  # the other shapes are still to be seen
                records.add(
                    "speed", f"{goal.title} {shape}", ok=False, why=f"{type(error).__name__}: {str(error)[:300]}"
                )
                continue
            ratios.append(found["theirs"] / found["ours"])
            facts = {"ours_ms": 1e3 * found["ours"], "theirs_ms": 1e3 * found["theirs"], "ratio": ratios[-1]}
            records.add("speed", f"{goal.title} {','.join(map(str, shape))}", **facts)
        if ratios:
            mean = geometric_mean(ratios)
            facts = {"ok": mean >= goal.least or place.dry, "mean": mean, "goal": goal.least, "worst": min(ratios)}
            records.add("goal", goal.title, **facts, shapes=len(ratios))


def check_regularised(place: Place, limit: Limit, records: Records, seconds: float) -> None:
    """Compare lengths, resets and wrappers with the plain cell."""
    shape: Shape = TINY[1] if place.dry else LONG
    length, batch, hidden = shape
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(length // 2, length + 1, (batch,), generator=generator).to(place.device)
    resets = (torch.rand(batch, length, generator=generator) < 0.02).to(place.device)
    for name in ("LSTMCell", "GRUCell"):

        def made(n: str = name) -> Cell[Any]:
            return CASES[n].cell(hidden, hidden)

        dtype = torch.bfloat16
        for kind, most in MOST.items():
            if limit.over():
                continue
            options: dict[str, Any] = (
                {"lengths": lengths} if kind == "lengths" else {"resets": resets} if kind == "resets" else {}
            )
            cell = WRAPPERS[kind](made()) if kind in WRAPPERS else made()
            try:
                plain = ours(place, made(), shape, dtype, "fused")
                sides = {"plain": plain, kind: ours(place, cell, shape, dtype, "fused", **options)}
                found = in_turns(place, sides, seconds)
            except Exception as error:
                records.add("goal", f"{name} {kind}", ok=False, why=f"{type(error).__name__}: {str(error)[:300]}")
                continue
            times = found[kind] / found["plain"]
            records.add("goal", f"{name} {kind}", ok=times <= most or place.dry, times_plain=times, most=most)


def check_captured(place: Place, limit: Limit, records: Records, seconds: float) -> None:
    """Compare a training step in a CUDA graph with ``torch.nn`` as it is called from Python."""
    shape: Shape = TINY[1] if place.dry else SHORT
    for name in ("GRUCell", "LSTMCell"):
        if limit.over():
            continue
        try:
            step = ours(place, CASES[name].cell(shape[2], shape[2]), shape, torch.bfloat16, "fused")
            sides = {"ours": place.captured(step), "theirs": theirs(place, name, shape, torch.bfloat16)}
            found = in_turns(place, sides, seconds)
        except Exception as error:
            records.add("goal", f"{name} captured", ok=False, why=f"{type(error).__name__}: {str(error)[:300]}")
            continue
        ratio = found["theirs"] / found["ours"]
        facts = {"ok": ratio >= 4 or place.dry, "ratio": ratio, "goal": 4.0}
        records.add("goal", f"{name} captured", **facts, ours_ms=1e3 * found["ours"])


def check_unplanned(place: Place, limit: Limit, records: Records, seconds: float, *, compiled: bool) -> None:
    """Compare a cell that nobody planned for with its loop and, which takes a minute, its loop compiled by torch."""
    from tests.fusion.running import UserCell  # noqa: PLC0415

    class Unplanned(UserCell):
        def __init__(self, hidden: int) -> None:
            super().__init__()
            self.input_size = self.hidden_size = hidden
            self.weight_ih, self.weight_hh = (
                nn.Parameter(torch.randn(hidden, hidden) * hidden**-0.5) for _ in range(2)
            )
            self.bias = nn.Parameter(torch.zeros(hidden))

        def advance(self, wx: Tensor, h: Tensor) -> Tensor:
            new = torch.tanh(wx + torch.relu(h) @ self.weight_hh.t())
            return torch.where(new > 0, 0.9 * new, 0.5 * new + 0.4 * h)

    shape: Shape = TINY[1] if place.dry else (128, 32, 256)
    cell = Unplanned(shape[2])
    goals = {"eager": 60.0}
    sides = {backend: ours(place, cell, shape, torch.bfloat16, backend) for backend in ("fused", "eager")}
    short: Shape = (min(32, shape[0]), *shape[1:])  # what is unrolled compiles in proportion to its length
    if compiled:
        loop = torch.compile(lambda x: unroll(cell, x, backend="eager")[0])
        x = torch.randn(short[1], short[0], shape[2], device=place.device, dtype=torch.bfloat16, requires_grad=True)
        sides["torch.compile"] = lambda: torch.autograd.grad(loop(x).sum(), [x, *cell.parameters()])
        goals["torch.compile"] = 20.0
    if limit.over():
        return
    found = in_turns(place, sides, seconds)
    for side, least in goals.items():
        scale = shape[0] / short[0] if side == "torch.compile" else 1.0
        ratio = found[side] * scale / found["fused"]
        records.add("goal", f"unplanned cell over {side}", ok=ratio >= least or place.dry, ratio=ratio, goal=least)
