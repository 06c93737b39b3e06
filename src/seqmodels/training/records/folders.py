"""Folders of runs: which they are, where they are, and whether training goes on in them."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from seqmodels.system.locks import is_occupied

LOGS = Path("logs")
REFIT = "refit"
"""Folder and checkpoint of a model that was trained again on all data."""

METRICS, SWEEP = "metrics.json", "sweep.json"
MARKS = ({"config.yaml", "environment.json"}, {METRICS, "checkpoints"}, {"train.log", ".hydra"})
"""Any of these sets of files makes a folder that of a run; evaluations have none of them."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(?:-\d+)?_(?=.)")  # in front of the name of a run


class Found(NamedTuple):
    """The folders of runs below another, and those of hyperparameter searches, whose trials are not among the runs."""

    runs: list[Path]
    sweeps: list[Path]


def find_runs(folder: Path) -> Found:
    """Return the runs below a folder, itself included, in order of their names; symbolic links are not followed.

    Trials of a hyperparameter search are found in its own folder only. What is below a run, such as its evaluations, is
    no other run.
    """
    found, waiting = Found([], []), [folder]
    while waiting:
        place = waiting.pop()
        try:
            entries = {entry.name: entry for entry in os.scandir(place)}
        except OSError:
            continue
        if is_marked(entries):
            found.runs.append(place)
        elif SWEEP in entries and place != folder:
            found.sweeps.append(place)
        else:
            inner = (e for e in entries.values() if not e.name.startswith(".") and e.is_dir(follow_symlinks=False))
            waiting += [place / entry.name for entry in inner]
    return Found(*(sorted(paths, key=in_order) for paths in found))


def is_marked(names: Iterable[str]) -> bool:
    """Return whether a folder with entries of these names is that of a run."""
    return any(mark <= {*names} for mark in MARKS)


def in_order(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts paths by name, numbers by value.

    Example:
        >>> sorted(map(Path, ["a/10", "a/9", "a"]), key=in_order)[1].name
        '9'
    """
    return [(int(part) if part.isdecimal() else -1, part) for part in path.parts]


def given_name(folder: Path) -> str:
    """Return the name of a run without the time in front of it.

    Example:
        >>> given_name(Path("logs/a/2026-11-27_12-49-41-123456_gru-64-seed1")), given_name(Path("logs/a/0"))
        ('gru-64-seed1', '0')
    """
    return _STAMP.sub("", folder.name)


def is_finished(folder: Path) -> bool:
    """Return whether a run has ended and left its metrics and checkpoints."""
    return (folder / METRICS).is_file() and (folder / "checkpoints").is_dir()


def is_running(folder: Path) -> bool:
    """Return whether a process trains in the folder of a run; False if that cannot be determined."""
    return is_occupied(folder) or is_occupied(folder / REFIT)


def last_change(folder: Path) -> float:
    """Return when a run ended, or when it last wrote something, in seconds since 1970; 0 if there is no such folder."""
    names = [METRICS] if (folder / METRICS).is_file() else ["", "metrics.csv", "train.log", "checkpoints"]
    times = [0.0]
    for name in names:
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(times)


def size_of(folder: Path) -> int:
    """Return the bytes of all files of a folder; symbolic links count as themselves."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            entries = [*os.scandir(waiting.pop())]
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                with suppress(OSError):  # a temporary file
                    total += entry.stat(follow_symlinks=False).st_size
    return total
