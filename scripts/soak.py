"""Break training off again and again, in every way that a night has, and see that it ends as if nothing had been.

    python scripts/soak.py --runs 25 --json soak.json

Each run is a short training whose process is killed (SIGKILL), asked to end (SIGTERM), has its last checkpoint torn or
changed, or finds the disk full, at random moments; after each fault it is resumed. When it has finished, its weights,
optimiser, best checkpoint and metrics must equal those of a run that nothing happened to, to the last bit.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from omegaconf import DictConfig, open_dict

from seqmodels.config.compose import compose
from seqmodels.errors import ConfigError
from seqmodels.training.fit import train
from seqmodels.training.resuming import Interrupted

COMMON = [
    *(
        "name=soak",
        "trainer=cpu",
        "threads=1",
        "logger=csv",
        "callbacks.progress=null",
        "callbacks.early_stopping=null",
    ),
    *("callbacks.resume_points.every_seconds=0.15", "trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
]
TASKS = {
    "classification, recurrent dropout": [
        *("data=digits", "data.batch_size=16", "cell.hidden_size=24", "regularizers=recurrent_dropout"),
        *("trainer.limit_train_batches=15", "trainer.max_epochs=12"),
    ],
    "language model, carried state": [
        *("data=python_docs", "cell.hidden_size=24", "model.embedding_size=16", "model.dropout_output=0.2"),
        *("data.batch_size=8", "data.bptt=16", "trainer.limit_train_batches=40", "trainer.max_epochs=3"),
    ],
}
FAULTS = ("kill", "terminate", "cut", "flip", "empty", "full disk")


def configuration(task: str, folder: Path, *more: str) -> DictConfig:
    config = compose("train", [*COMMON, *TASKS[task], f"paths.output_dir='{folder}'", *more])
    with open_dict(config):
        del config["hydra"]
    return config


def start(task: str, folder: Path, *, largest: int | None = None) -> int:
    """Fork a process that trains, from where the folder stands; it may write files of ``largest`` bytes at most."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        train(configuration(task, folder, *([f"resume='{folder}'"] if folder.exists() else [])))
        status = 0
    except Interrupted as end:
        status = end.status
    except ConfigError:
        status = 2
    finally:
        os._exit(status)


def broken_off(task: str, folder: Path, fault: str, after: float, generator: random.Random) -> int:
    """Train until ``fault`` happens ``after`` so many seconds, or until the end; return the status."""
    child = start(task, folder, largest=30_000 if fault == "full disk" else None)
    if fault == "full disk":
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    end = time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGTERM if fault == "terminate" else signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status and fault in ("cut", "flip", "empty"):  # it may have ended just before
        damage(folder / "checkpoints" / "last.ckpt", fault, generator)
    return status


def damage(path: Path, how: str, generator: random.Random) -> None:
    """Cut, change or empty a checkpoint that has one before it."""
    if not path.is_file() or not path.with_name("previous.ckpt").is_file():
        return
    content = bytearray(path.read_bytes())
    if not content:
        return
    path.unlink()  # the one before it may be the same file
    place = generator.randrange(len(content))
    if how == "flip":
        content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(bytes(content[: {"cut": place, "flip": len(content), "empty": 0}[how]]))


def outcome(folder: Path) -> dict[str, object]:
    """Return what a finished run has left, as plain values that compare bit by bit."""
    found: dict[str, object] = {"metrics.csv": (folder / "metrics.csv").read_text()}
    metrics = json.loads((folder / "metrics.json").read_text())
    found["metrics"] = {name: value for name, value in metrics.items() if name != "seconds"}
    for name in ("last", "best"):
        kept = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch_state"):
            found[f"{name}.{part}"] = flattened(kept[part])
    return found


def flattened(node: object) -> object:
    if isinstance(node, torch.Tensor):
        return (str(node.dtype), tuple(node.shape), node.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(node, dict):
        return [(key, flattened(value)) for key, value in node.items()]
    return [flattened(value) for value in node] if isinstance(node, list | tuple) else node


def soak(task: str, root: Path, runs: int, generator: random.Random) -> dict[str, object]:
    """Return how many faults of each kind ``runs`` runs of a task have survived, and how many ended otherwise."""
    began = time.monotonic()
    train(configuration(task, root / "whole"))
    usual, expected = time.monotonic() - began, outcome(root / "whole")
    faults: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    different = []
    for run in range(runs):
        folder = root / f"run{run}"
        while True:
            fault = generator.choice(FAULTS)
            status = broken_off(task, folder, fault, generator.uniform(0.0, 0.8 * usual), generator)
            statuses[status] += 1
            if status == 0:
                break
            faults[fault] += 1
        found = outcome(folder)
        different += [(run, part) for part in expected if found[part] != expected[part]]
        print(
            f"{task}: run {run + 1} of {runs} after {sum(faults.values())} faults in all: {different or 'equal'}",
            flush=True,
        )
        shutil.rmtree(folder)
    return {
        "task": task,
        "runs": runs,
        "faults": dict(faults),
        "exit statuses": dict(statuses),
        "different": different,
        "seconds of a whole run": round(usual, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=25, help="runs of each task")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as root:
        for task in options.tasks:
            folder = Path(root, str(len(results)))
            results.append(soak(task, folder, options.runs, random.Random(options.seed)))
    for result in results:
        print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(result["different"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
