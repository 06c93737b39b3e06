"""Start groups of processes, and kill those that a test leaves behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 600  # guards against hangs: a busy machine takes minutes
SEQMODELS = [sys.executable, "-m", "seqmodels"]
TINY = [
    *("threads=1", "cell.hidden_size=3", "data.batch_size=16", "logger=csv"),
    "callbacks.resume_points.every_seconds=null",  # a slow machine would save more points than a fast one
    *(
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=3",
        "trainer.limit_val_batches=2",
        "trainer.limit_test_batches=2",
    ),
]
SEVERAL = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "SLURM_NTASKS",
    "SLURM_PROCID",
)


class Ended(NamedTuple):
    """The outcome of a process."""

    status: int
    out: str
    err: str


def python_path() -> str:
    """Return the path on which processes find the tests too, before what it was."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def run(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Ended:
    """Run a command in ``folder`` and wait for it."""
    (ended,) = run_together([command], folder, [more or {}])
    return ended


def run_together(
    commands: Sequence[Sequence[str]], folder: Path, more: Sequence[Mapping[str, str]], timeout: float = TIMEOUT
) -> list[Ended]:
    """Run commands concurrently, each with additional environment variables; kill the rest after the timeout."""
    clean = {name: value for name, value in os.environ.items() if name not in SEVERAL}
    clean |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": python_path(), "SEQMODELS_ALLOW": "tests.distributed.faults.*"}
    started = [
        subprocess.Popen(
            list(command),
            cwd=folder,
            env={**clean, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that those which it has started can be ended with it
        )
        for command, variables in zip(commands, more, strict=True)
    ]
    try:
        texts = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.communicate()
    return [Ended(process.returncode, out, err) for process, (out, err) in zip(started, texts, strict=True)]


def ranks(module: str, folder: Path, *arguments: str, world_size: int = 2, **more: str) -> list[Ended]:
    """Run a module in processes that connect like Lightning's; ``more`` holds environment variables for all."""
    meeting = {**more, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world_size)}
    command = [sys.executable, "-m", module, *arguments]
    return run_together([command] * world_size, folder, [{**meeting, "LOCAL_RANK": str(n)} for n in range(world_size)])


def files(folder: Path) -> list[str]:
    """Return the files below a folder; names of TensorBoard's files, which contain the process, are shortened."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in paths]
