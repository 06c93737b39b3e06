"""What a checkpoint costs: written as Lightning does, and synced to disk with its sha256 and the one before kept.

    python scripts/benchmark_checkpoints.py [--folder DIR] [--megabytes 1 100]

Each way writes the same tensors in turn, over the file that is there; the median of the rounds counts. The disk decides
what a sync costs: give a folder on the one that matters.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from seqmodels.training.checkpoint_file import DurableCheckpointIO, keep_previous
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpoint_reading import load_checkpoint

TENSORS = 16
Checkpoint = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for megabytes in arguments.megabytes:
        size = megabytes * 2**20 // 4 // TENSORS
        checkpoint = {"format": FORMAT, "state_dict": {f"w{i}": torch.randn(size) for i in range(TENSORS)}}
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for name, work in ways(checkpoint, Path(folder)).items():
                print(f"{megabytes:4d} MB  {name:34s} {median(work, arguments.rounds):7.1f} ms")


def ways(checkpoint: Checkpoint, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is compared, each way on a file of its own."""
    plain, usual, durable, kept = (folder / name / "last.ckpt" for name in ("plain", "usual", "durable", "kept"))
    plain.parent.mkdir()

    def keep_and_save() -> None:
        keep_previous(kept)
        DurableCheckpointIO().save_checkpoint(checkpoint, kept)

    return {
        "torch.save": lambda: torch.save(checkpoint, plain),
        "Lightning": lambda: TorchCheckpointIO().save_checkpoint(checkpoint, usual),
        "durable, sha256": lambda: DurableCheckpointIO().save_checkpoint(checkpoint, durable),
        "durable, sha256, the one before kept": keep_and_save,
        "read: torch.load": lambda: torch.load(plain, weights_only=True),
        "read: verified": lambda: load_checkpoint(durable),
    }


def median(work: Callable[[], object], rounds: int) -> float:
    """Return the milliseconds of a call after the first."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    main()
