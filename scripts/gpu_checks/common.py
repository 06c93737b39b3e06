"""What all parts share: records that a kill cannot lose, a time limit, and a back-end that falls back on nothing."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqmodels import cells
from seqmodels.backends import BACKENDS
from seqmodels.backends.fused import Fused
from seqmodels.cells import Cell
from seqmodels.fusion.cuda.card import Card, card_of
from seqmodels.fusion.cuda.executor import Cuda
from seqmodels.fusion.executor import Executor
from seqmodels.sequence import map_leaves

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests draw random cells, and emulate a card

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": torch.float32}


class Records:
    """Records, each written to a file as it comes, one JSON object a line, and printed."""

    def __init__(self, path: Path | None) -> None:
        self.all: list[dict[str, Any]] = []
        self._path = path
        if path is not None:
            path.write_text("", encoding="utf-8")

    def add(self, part: str, what: str, **facts: Any) -> None:
        """Add what was found; ``ok=False`` marks a failure."""
        record = {"part": part, "what": what, **facts}
        self.all.append(record)
        words = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in facts.items()]
        print(f"{part}: {what}: {', '.join(words)}", flush=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def failed(self) -> list[dict[str, Any]]:
        return [record for record in self.all if record.get("ok") is False]


class Limit:
    """The time that a part may take."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.skipped = 0

    def over(self) -> bool:
        """Return whether the time is over, and count what is not done for that."""
        late = time.monotonic() > self._end
        self.skipped += late
        return late


class OnCard(Fused):
    """The fused back-end on CUDA kernels alone: what they cannot run is an error."""

    def __init__(self, executor: Cuda) -> None:
        super().__init__()
        self.cuda = executor

    def executor(self, device: torch.device, dtype: torch.dtype) -> Executor:
        del device, dtype
        return self.cuda

    def _warn(self, why: str) -> None:
        raise RuntimeError(f"not run by a CUDA kernel: {why}")


class Place:
    """Where the checks run: a GPU, or an emulated one for a dry run, on which ``backend="fused"`` runs CUDA kernels."""

    def __init__(self, *, dry: bool) -> None:
        self.dry = dry
        self.device = torch.device("cpu" if dry else "cuda")
        self.card: Card
        if dry:
            from tests.fusion.cuda.emulator import EmulatedCard  # noqa: PLC0415 - it needs a C++ compiler

            self.card = EmulatedCard()
        else:
            self.card = card_of(self.device)
            torch.set_float32_matmul_precision("high")  # TF32, which torch.nn's layers take by default
        BACKENDS["fused"] = OnCard(Cuda(self.card))

    @contextmanager
    def running_on(self, cuda: Cuda) -> Iterator[Cuda]:
        """Let ``backend="fused"`` run on another executor."""
        before, BACKENDS["fused"] = BACKENDS["fused"], OnCard(cuda)
        try:
            yield cuda
        finally:
            BACKENDS["fused"] = before

    def synchronize(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], object]) -> float:
        """Return how long a call takes on the device."""
        if self.dry:
            began = time.perf_counter()
            call()
            return time.perf_counter() - began
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        call()
        after.record()
        after.synchronize()
        return before.elapsed_time(after) / 1e3

    def streams(self, count: int) -> list[AbstractContextManager[Any]]:
        """Return streams to run on, each a context."""
        return [nullcontext() if self.dry else torch.cuda.stream(torch.cuda.Stream()) for _ in range(count)]

    def captured(self, step: Callable[[], object]) -> Callable[[], object]:
        """Return what repeats a step that a CUDA graph has captured."""
        if self.dry:
            return step
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    def memory(self) -> tuple[int, int]:
        """Return how many bytes are in use, and how many torch has taken."""
        self.synchronize()
        return (0, 0) if self.dry else (torch.cuda.memory_allocated(), torch.cuda.memory_reserved())

    def peak(self, step: Callable[[], object]) -> float:
        """Return the most bytes that a step takes."""
        before = self.memory()[0]
        if self.dry:
            step()
            return 0.0
        torch.cuda.reset_peak_memory_stats()
        step()
        self.synchronize()
        return float(torch.cuda.max_memory_allocated() - before)

    def state(self, cell: Cell[Any], x: Tensor) -> Any:
        """Return a random state."""
        return map_leaves(lambda leaf: torch.randn_like(leaf) / 2, cell.initial_state(x[:, 0]))


WRAPPERS: dict[str, Callable[[Cell[Any]], Cell[Any]]] = {
    "recurrent dropout": lambda cell: cells.RecurrentDropout(cell, 0.25),
    "zoneout": lambda cell: cells.Zoneout(cell, {"h": 0.1}),
    "weight drop": lambda cell: cells.WeightDrop(cell, 0.5),
    "layer norm": cells.RecurrentLayerNorm,
    "learned state": cells.LearnedInitialState,
}
