"""What a night of training meets: a busy card, several streams, CUDA graphs, memory, a number that never comes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch
from benchmarking.cases import CASES
from torch import Tensor

from gpu_checks.common import Limit, Place, Records
from gpu_checks.speed import TINY, Shape, ours, theirs
from seqmodels.fusion.cuda.executor import Cuda
from seqmodels.fusion.cuda.prelude import NAME
from seqmodels.fusion.kernels.build_failed import BuildFailed

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
    if limit.over():
        return
    found = steps(place, TINY[0] if place.dry else (64, 32, 256))
    first = {name: step() for name, step in found.items()}
    place.synchronize()
    wrong = 0
    for _ in range(repeats):
        results = {}
        for (name, step), stream in zip(found.items(), place.streams(len(found)), strict=True):
            with stream:
                results[name] = step()
        place.synchronize()
        wrong += not all(equal(results[name], first[name]) for name in found)
    records.add("robustness", "two streams", ok=wrong == 0, repeats=repeats, wrong=wrong)


def check_graphs(place: Place, limit: Limit, records: Records) -> None:
    """Replay a training step that a CUDA graph has captured."""
    if limit.over():
        return
    for name, step in steps(place, TINY[0] if place.dry else (35, 20, 256)).items():
        expected, kept = step(), []
        replay = place.captured(lambda step=step, kept=kept: kept.append(step()))
        wrong = 0
        for _ in range(3 if place.dry else 20):
            replay()
            place.synchronize()
            wrong += not equal(kept[-1], expected)
        records.add("robustness", f"{name} in a CUDA graph", ok=wrong == 0, wrong=wrong)


def check_memory(place: Place, limit: Limit, records: Records, count: int) -> None:
    """Take no more memory after many steps than after a few, and at the peak no more than ``torch.nn``."""
    if limit.over():
        return
    shape: Shape = TINY[0] if place.dry else (512, 16, 512)
    for name in ("GRUCell", "LSTMCell"):
        sides = {"theirs": theirs(place, name, shape, torch.bfloat16)}
        sides["ours"] = ours(place, CASES[name].cell(shape[2], shape[2]), shape, torch.bfloat16, "fused")
        peaks = {}
        for side, step in sides.items():
            step()
            peaks[side] = place.peak(step) / 2**20
        ok = peaks["ours"] <= peaks["theirs"]
        records.add("robustness", f"{name} peak memory", ok=ok, ours_mib=peaks["ours"], theirs_mib=peaks["theirs"])
    step = steps(place, TINY[0] if place.dry else (35, 20, 256))["GRUCell"]
    for _ in range(10):
        step()
    before = place.memory()
    for _ in range(count):
        step()
    after = place.memory()
    records.add("robustness", f"memory over {count} steps", ok=after == before, before=before, after=after)


def check_wait_without_end(place: Place, limit: Limit, records: Records) -> None:
    """Leave out a block: the others give up, a call says so, and the card can be used."""
    if limit.over():
        return
    with place.running_on(Cuda(place.card)) as cuda:
        step = steps(place, (2, 3, 20) if place.dry else (35, 20, 256))["GRUCell"]
        expected, whole = step(), dict(cuda._kernels)
        for key, built in whole.items():
            assert not isinstance(built, BuildFailed)
            source, start = built.source, f"KERNEL({NAME}) {{"
            text = source.text.replace(start, f"{start}\n  if (blockIdx.x == 0) return;")
            layout = source.layout.options
            kernel = place.card.load(text, layout.dtype, layout.threads, source.shared_bytes)
            cuda._kernels[key] = replace(built, kernel=kernel)
        began, said = time.monotonic(), "nothing"
        try:
            for _ in range(2):
                step()
                place.synchronize()
        except RuntimeError as error:
            said = str(error)
        seconds = time.monotonic() - began
        place.synchronize()
        cuda._kernels.update(whole)
        with suppress(RuntimeError):  # a kernel that was running then
            step()
        usable = equal(step(), expected)
    ok = "gave up" in said and usable
    records.add("robustness", "a wait without end", ok=ok, seconds=seconds, usable=usable, said=said[:80])
