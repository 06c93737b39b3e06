"""Training runs and what came out of them, kept in a file, command by command."""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "docs" / "results.json"
WITHOUT_EFFECT = ("threads", "trainer", "logger", "paths.output_dir", "paths.data_dir", "hydra.run.dir")

Run = dict[str, Any]
"""Of one run: ``metrics``, ``validation`` (metrics of the best epoch), ``threads``, ``date``, ``machine``."""


def load(store: Path) -> dict[str, Run]:
    """Return the known runs by their commands."""
    found: dict[str, Run] = json.loads(store.read_text()) if store.is_file() else {}
    return found


def save(known: dict[str, Run], store: Path) -> None:
    """Write all known runs; an interruption leaves the previous file."""
    partial = store.with_name(f"{store.name}.partial")
    partial.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    partial.replace(store)


def run_all(
    commands: Iterable[str], store: Path, *, jobs: int = 1, minutes: float | None = None, words: Sequence[str] = ()
) -> list[str]:
    """Run commands, ``jobs`` at a time; store each run as it ends.

    Args:
        commands: as in :func:`run`, in the order in which they start.
        store: receives the runs; those that it has are kept.
        jobs: number of processes at a time.
        minutes: time for everything; runs that have not ended by then are stopped and leave nothing.
        words: further words of each command, of which none may change a result.

    Returns:
        The commands that failed or were stopped.

    Raises:
        ValueError: one of ``words`` may change a result.
    """
    for word in words:
        if word.partition("=")[0] not in WITHOUT_EFFECT:
            raise ValueError(f"{word} may change a result; only {', '.join(WITHOUT_EFFECT)} do not")
    failed = []
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    with ThreadPoolExecutor(jobs) as pool:
        pending = {pool.submit(run, command, words, deadline): command for command in commands}
        for done in as_completed(pending):
            command = pending[done]
            try:
                found = done.result()
            except (subprocess.SubprocessError, OSError) as error:
                failed.append(command)
                print(f"{command}: {error}", flush=True)
            else:
                save(load(store) | {command: found}, store)  # what others have stored meanwhile stays
                print(command, {k: v for k, v in found["metrics"].items() if k == "seconds" or "test/m" in k})
    return failed


def run(command: str, words: Sequence[str] = (), deadline: float | None = None) -> Run:
    """Run a command ``seqmodels train ...`` in a process of its own; return what came out.

    Raises:
        subprocess.SubprocessError: it failed, or did not end before ``deadline`` (of ``time.monotonic``).
    """
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise subprocess.TimeoutExpired(command, 0)
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "seqmodels", *command.split()[1:], *words, f"paths.output_dir={folder}"]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, timeout=left)
        return read(Path(folder))[1]


def read(folder: Path) -> tuple[str, Run]:
    """Return the command of a finished run, and its final metrics with what they were measured on."""
    environment = json.loads(Path(folder, "environment.json").read_text())
    words = environment["command"][2:]
    if any(word.startswith("resume=") for word in words):  # what the run was started with
        words = yaml.safe_load(Path(folder, ".hydra", "overrides.yaml").read_text())
    options = dict(word.split("=", 1) for word in words if not word.startswith("resume="))
    accelerators = [] if options.get("trainer") == "cpu" else environment["accelerators"]
    seed = options.pop("seed", "1")
    first = "experiment" if "experiment" in options else "data"
    options = {first: options.pop(first)} | options
    words = [f"{key}={value}" for key, value in options.items() if key not in WITHOUT_EFFECT]
    device = accelerators[0] if accelerators else f"{environment['cpu_count']} cores"
    found = {
        "metrics": json.loads(Path(folder, "metrics.json").read_text()),
        "validation": validation(folder),
        "threads": environment["threads"],
        "date": environment["time"][:10],
        "machine": f"{device}, torch {environment['packages']['torch']}",
    }
    return " ".join(["seqmodels train", *words, f"seed={seed}"]), found


def validation(folder: Path) -> dict[str, float]:
    """Return the validation metrics of the epoch with the lowest loss, whose weights are tested."""
    with Path(folder, "metrics.csv").open(newline="") as file:
        epochs = [row for row in csv.DictReader(file) if row.get("val/loss")]
    best = min(epochs, key=lambda row: float(row["val/loss"]))
    return {name: float(value) for name, value in best.items() if name.startswith("val/") and value}


def taken(paths: Iterable[Path]) -> dict[str, Run]:
    """Return the runs in folders of runs, and in files that :func:`save` wrote."""
    return {name: found for path in paths for name, found in (load(path).items() if path.is_file() else [read(path)])}
