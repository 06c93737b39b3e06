"""What a night of training meets: a busy card, several streams, CUDA graphs, memory, a number that never comes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from benchmarking.cases import CASES
from torch import Tensor

from gpu_checks.common import Limit, Place, Records
from gpu_checks.speed import Shape, captured, ours, theirs

BUSY = """import torch
a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
print("ready", flush=True)
while True:
    for _ in range(50): a = (a @ a).clamp(-1, 1)
    torch.cuda.synchronize()
"""
Step = Callable[[], tuple[Tensor | None, ...]]


def steps(place: Place, shape: Shape) -> dict[str, Step]:
    """Return training steps that can be repeated, each with the same numbers."""
    torch.manual_seed(0)
    hidden = shape[2]
    return {
        name: ours(place, CASES[name].cell(hidden, hidden), shape, torch.bfloat16, "fused")  # type: ignore[misc]
        for name in ("GRUCell", "LSTMCell")
    }


def equal(one: Any, other: Any) -> bool:
    """Return whether gradients are the same, to the last bit."""
    return all((a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in zip(one, other, strict=True))


@contextmanager
def busy(place: Place) -> Iterator[None]:
    """Keep the card busy from another process."""
    if place.dry:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


def check_launches(place: Place, limit: Limit, records: Records, count: int) -> None:
    """Launch forward and backward kernels again and again beside a busy process: the bits stay the same."""
    found = steps(place, (3, 5, 20) if place.dry else (35, 20, 256))
    first = {name: step() for name, step in found.items()}
    launches = wrong = 0
    with busy(place):
        while launches < count and not limit.over():
            for name, step in found.items():
                result = step()
                launches += 2
                wrong += launches % 200 < 4 and not equal(result, first[name])
        wrong += not all(equal(step(), first[name]) for name, step in found.items())
    records.add("robustness", "launches beside a busy process", ok=wrong == 0, launches=launches, wrong=wrong)


def check_streams(place: Place, limit: Limit, records: Records, repeats: int) -> None:
    """Run two cells on two streams at once."""
    if place.dry or limit.over():
        return
    found = steps(place, (64, 32, 256))
    first = {name: step() for name, step in found.items()}
    streams = {name: torch.cuda.Stream() for name in found}
    torch.cuda.synchronize()
    wrong = 0
    for _ in range(repeats):
        results = {}
        for name, step in found.items():
            with torch.cuda.stream(streams[name]):
                results[name] = step()
        torch.cuda.synchronize()
        wrong += not all(equal(results[name], first[name]) for name in found)
    records.add("robustness", "two streams", ok=wrong == 0, repeats=repeats, wrong=wrong)


def check_graphs(place: Place, limit: Limit, records: Records) -> None:
    """Replay a training step that a CUDA graph has captured."""
    if place.dry or limit.over():
        return
    for name, step in steps(place, (35, 20, 256)).items():
        expected, kept = step(), []
        graph = captured(lambda step=step, kept=kept: kept.append(step()))  # type: ignore[misc]
        wrong = 0
        for _ in range(20):
            graph.replay()
            torch.cuda.synchronize()
            wrong += not equal(kept[-1], expected)
        records.add("robustness", f"{name} in a CUDA graph", ok=wrong == 0, wrong=wrong)


def check_memory(place: Place, limit: Limit, records: Records, count: int) -> None:
    """Take no more memory after many steps than after a few, and at the peak no more than ``torch.nn``."""
    if place.dry or limit.over():
        return
    shape: Shape = (512, 16, 512)
    peaks = {}
    for name in ("GRUCell", "LSTMCell"):
        sides = {
            "ours": ours(place, CASES[name].cell(512, 512), shape, torch.bfloat16, "fused"),
            "theirs": theirs(place, name, shape, torch.bfloat16),
        }
        for side, step in sides.items():
            step()
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            step()
            peaks[side] = (torch.cuda.max_memory_allocated() - before) / 2**20
        ok = peaks["ours"] <= peaks["theirs"]
        records.add("robustness", f"{name} peak memory", ok=ok, ours_mib=peaks["ours"], theirs_mib=peaks["theirs"])
    step = steps(place, (35, 20, 256))["GRUCell"]
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for _ in range(count):
        step()
    torch.cuda.synchronize()
    after = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    records.add("robustness", f"memory over {count} steps", ok=after == before, before=before, after=after)


def check_wait_without_end(place: Place, limit: Limit, records: Records) -> None:
    """Leave out a block of a team: the others give up in seconds, the next call says so, and the card can be used."""
    if limit.over():
        return
    step = steps(place, (3, 5, 40) if place.dry else (35, 20, 256))["GRUCell"]
    expected = step()
    place.synchronize()
    with one_block_fewer(place):
        step()
        seconds = place.seconds(place.synchronize)
    try:
        step()
        said = "nothing"
    except RuntimeError as error:
        said = str(error)
    again = equal(step(), expected)
    records.add(
        "robustness",
        "a wait without end",
        ok="gave up" in said and again,
        seconds=seconds,
        usable=again,
        said=said[:80],
    )


@contextmanager
def one_block_fewer(place: Place) -> Iterator[None]:
    kind: Any
    if place.dry:
        from tests.fusion.cuda.emulator import Emulated as kind  # noqa: N813, PLC0415
    else:
        from seqmodels.fusion.cuda.driver import Kernel as kind  # noqa: N813, PLC0415
    launch = kind.launch
    kind.launch = lambda self, blocks, words: launch(self, blocks - 1, words)
    try:
        yield
    finally:
        kind.launch = launch
