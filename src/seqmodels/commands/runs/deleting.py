"""``seqmodels runs delete``: a list of what would be deleted, then the deletion."""

import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from seqmodels.commands.runs.layout import age, size
from seqmodels.commands.runs.options import choice, parsed
from seqmodels.commands.runs.rows import Row
from seqmodels.commands.runs.selection import selected
from seqmodels.errors import ConfigError, shortened
from seqmodels.training.finding import is_called, run_folder
from seqmodels.training.records.differences import values_of
from seqmodels.training.records.folders import LOGS, REFIT, find_runs, is_marked, is_running, last_change, size_of
from seqmodels.training.records.reading import read_run

OPTIONS = ("where", "older", "yes", "paths.log_dir")
WRITTEN = (
    *(".hydra", "config.yaml", "environment.json", "metrics.json", "metrics.csv", "metrics.csv.*", "hparams.yaml"),
    *("*.log", "command.sh", "checkpoints", "model", "tensorboard", "wandb", "*_metrics.csv", "evaluations", REFIT),
    *("report.html", "record.json", "images", ".*.tmp"),
)
"""Names of what runs write into their folders."""


def delete(tokens: Sequence[str]) -> int:
    """Delete the runs that the command line names or describes; without ``yes=true``, list them.

    Raises:
        ConfigError: a name means no run, or a run that must not be deleted; nothing is deleted then.
    """
    names, options = parsed("seqmodels runs delete", tokens, OPTIONS)
    logs = Path(options.get("paths.log_dir", LOGS))
    described = bool({"where", "older"} & set(options))
    if not names and not described:
        raise ConfigError("seqmodels runs delete needs runs, where= or older=; see seqmodels runs --help")
    found = [folder for name in names for folder in _named(name, logs, several=described)]
    folders = list(dict.fromkeys(found)) if names else find_runs(logs).runs
    if described:
        folders = _selected(folders, options)
    kept = {folder: reason for folder in folders if (reason := reason_to_keep(folder)) is not None}
    if kept and not described:
        lines = [f"{folder} is not deleted: {reason}{_inside(folder)}" for folder, reason in kept.items()]
        raise ConfigError("; ".join(lines))
    for folder, reason in kept.items():
        sys.stdout.write(f"kept: {folder}: {reason}\n")
    chosen = [folder for folder in folders if folder not in kept]
    return _delete(chosen) if choice(options, "yes", ("false", "true")) == "true" else _list(chosen)


def reason_to_keep(folder: Path) -> str | None:
    """Return why the folder of a run must not be deleted, or None if it may be."""
    if folder.is_symlink():
        return "it is a symbolic link"
    if not folder.is_dir() or not is_marked(names := [path.name for path in folder.iterdir()]) or not _is_ours(folder):
        return "it is not the folder of a run"
    if is_running(folder):
        return "a process trains in it"
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        return "it is the current folder, or contains it"
    others = sorted(name for name in names if not any(fnmatchcase(name, pattern) for pattern in WRITTEN))
    return f"it holds files that no run writes: {shortened(others, 3)}" if others else None


def _inside(folder: Path) -> str:
    """Return how to delete the runs in a folder that is none."""
    runs = find_runs(folder).runs
    return "" if runs in ([], [folder]) else f"; beside where=[...] or older=0d it means the {_counted(runs)} in it"


def _is_ours(folder: Path) -> bool:
    """Return whether this package wrote the folder, rather than another program with the same names of files."""
    paths = [folder / name for name in ("config.yaml", "environment.json", ".hydra/hydra.yaml")]
    return any(b"seqmodels" in path.read_bytes() for path in paths if path.is_file())


def _named(name: str, logs: Path, *, several: bool) -> list[Path]:
    """Return the folder of the run that a name means; if ``several`` may be meant, all runs in a folder.

    Raises:
        ConfigError: there is none, or there are several of this name.
    """
    place = next((path for path in (Path(name), logs / name) if path.exists()), None)
    if place is not None:
        return find_runs(place).runs if several else [place]
    runs = [folder for folder in find_runs(logs).runs if is_called(folder, name, logs)]
    if len(runs) > 1:
        raise ConfigError(f"{name} may be {' or '.join(map(str, runs))}: give the path of the one to delete")
    return [run_folder(name, logs)]


def _selected(folders: Iterable[Path], options: dict[str, str]) -> list[Path]:
    runs = [read_run(folder) for folder in folders]
    rows = [Row(str(run.folder), (run,), values_of(run), run.metrics) for run in runs]
    return [row.runs[0].folder for row in selected(rows, options)]


def _list(folders: Sequence[Path]) -> int:
    sizes = [size_of(folder) for folder in folders]
    for folder, count in zip(folders, sizes, strict=True):
        sys.stdout.write(f"{size(count):>9}  {age(time.time() - last_change(folder)):>6}  {folder}\n")
    again = "; yes=true deletes them" if folders else ""
    sys.stdout.write(f"nothing is deleted: {_counted(folders)}, {size(sum(sizes))}{again}\n")
    return 0


def _delete(folders: Sequence[Path]) -> int:
    total = 0
    for folder in folders:
        count = size_of(folder)
        if is_running(folder):  # since the check
            raise ConfigError(f"{folder} is not deleted: a process trains in it")
        gone = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.deleted")
        try:
            folder.rename(gone)  # at once: what is left if the process is killed is no run
            shutil.rmtree(gone)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be deleted: {error}") from error
        total += count
        sys.stdout.write(f"deleted: {folder}\n")
    sys.stdout.write(f"{_counted(folders)}, {size(total)}\n")
    return 0


def _counted(folders: Sequence[Path]) -> str:
    return f"{len(folders)} run{'s' * (len(folders) != 1)}"
