"""Find trained models: run folders by path or name, ``latest``, ``best:NAME``; model folders; checkpoints."""

import logging
from collections.abc import Iterable
from pathlib import Path

from seqmodels.errors import ConfigError, nearest
from seqmodels.system.json_text import read_json
from seqmodels.training.records.folders import (
    LOGS,
    METRICS,
    REFIT,
    find_runs,
    given_name,
    is_finished,
    is_running,
    last_change,
)

log = logging.getLogger("seqmodels")


def run_folder(run: str, logs: Path = LOGS) -> Path:
    """Return the run, model folder or checkpoint that ``run`` names.

    Args:
        run: a path; or ``latest``, the run that finished last; or ``best:NAME``, the finished run in ``logs/NAME`` with
            the lowest validation loss of its best checkpoint; or the end of the path of a run, such as its name without
            the time: the newest run of that name, a finished one if there is any.
        logs: folder of the runs.

    Raises:
        ConfigError: there is no such run.
    """
    kind, colon, name = run.partition(":")
    if Path(run).exists():
        return Path(run)
    if run == "latest":
        return _latest(logs)
    if kind == "best" and colon:
        return _best(run, name, logs)
    runs = find_runs(logs).runs
    named = [folder for folder in runs if is_called(folder, run, logs)]
    if not named:
        hint = "; best:NAME is the best one in logs/NAME" if run == "best" else nearest(run, map(given_name, runs))
        raise ConfigError(f"run={run}: there is no such folder or file, and no run of this name{hint}")
    return newest(named)


def newest(runs: Iterable[Path]) -> Path:
    """Return the newest of at least one run, a finished one if there is any."""
    return max(runs, key=lambda folder: (is_finished(folder), last_change(folder)))


def is_called(folder: Path, name: str, logs: Path = LOGS) -> bool:
    """Return whether a name means a run: its name without the time, or the end of its path below ``logs``.

    Example:
        >>> is_called(Path("logs/a/2026-11-27_12-49-41-123456_gru-64-seed1"), "gru-64-seed1")
        True
    """
    if name.isdecimal():  # the job of some multirun
        return False
    return name == given_name(folder) or f"/{folder.relative_to(logs).as_posix()}".endswith(f"/{name.rstrip('/')}")


def runs_below(name: str, logs: Path = LOGS) -> Path:
    """Return the folder of runs that a name means: one below ``logs``, or any path.

    Raises:
        ConfigError: there is no such folder.
    """
    place = _place(name, logs)
    if not place.is_dir():
        raise ConfigError(f"{name}: there is no such folder, also not below {logs.absolute()}{_hint(name, logs)}")
    return place


def latest_unfinished(logs: Path = LOGS) -> Path:
    """Return the run that was interrupted last.

    Raises:
        ConfigError: there is none.
    """
    found = [folder for folder in find_runs(logs).runs if not (folder / METRICS).is_file() and not is_running(folder)]
    if not found:
        raise ConfigError(f"resume=latest: there is no interrupted run in {logs.absolute()}")
    return max(found, key=last_change)


def weights_of(run: str, ckpt: str | None) -> Path:
    """Return the checkpoint or model folder to load for ``run=`` (see :func:`run_folder`) and ``ckpt=``.

    Args:
        run: what ``run=`` names.
        ckpt: ``best``, ``last``, ``refit`` or the path of a checkpoint; by default ``refit`` if the run has one, else
            ``best``. A checkpoint or a model folder as ``run`` has no others.

    Raises:
        ConfigError: there is no such run or checkpoint.
    """
    if ckpt is not None and ckpt not in ("best", "last", REFIT):
        if not Path(ckpt).is_file():
            raise ConfigError(f"ckpt={ckpt}: there is no file {ckpt}")
        return Path(ckpt)
    found = run_folder(run)
    if found.is_file() or (found / "model.safetensors").is_file():
        if ckpt is not None:
            raise ConfigError(f"ckpt={ckpt} chooses a checkpoint of a run, and {found} is not the folder of a run")
        return found
    checkpoints = found / "checkpoints"
    names = [ckpt] if ckpt is not None else [REFIT, "best"]
    for name in names:
        if (path := checkpoints / f"{name}.ckpt").is_file():
            if name == REFIT and ckpt is None:
                log.info("the model is that of refit=all, trained on all data; ckpt=best is the one that was tested")
            elif ckpt is None and (found / REFIT).is_dir():
                log.warning("the training of refit=all has not ended: the model is the best of the first training")
            return path
    others = ", ".join(sorted(path.stem for path in checkpoints.glob("*.ckpt"))) or "none"
    raise ConfigError(f"ckpt={names[-1]}: there is no file {path} (checkpoints of this run: {others})")


def _latest(logs: Path) -> Path:
    finished = [folder for folder in find_runs(logs).runs if is_finished(folder)]
    if not finished:
        raise ConfigError(f"run=latest: there is no finished run in {logs.absolute()}")
    return max(finished, key=last_change)


def _best(run: str, name: str, logs: Path) -> Path:
    place = _place(name, logs)
    if not place.is_dir():
        raise ConfigError(f"run={run}: there is no folder {(logs / name).absolute()}{_hint(name, logs)}")
    found = find_runs(place)
    losses = {folder: loss for folder in found.runs if is_finished(folder) and (loss := _loss(folder)) is not None}
    if not losses:
        hint = f"; the trials of a sweep are named by its folder: best:{found.sweeps[-1]}" if found.sweeps else ""
        raise ConfigError(f"run={run}: no finished run in {place.absolute()} has a val/loss{hint}")
    return min(losses, key=lambda folder: losses[folder])


def _place(name: str, logs: Path) -> Path:
    """Return the folder below ``logs`` of that name, else the name as a path, which may begin with a dot."""
    return logs / name if not name.startswith(".") and (logs / name).is_dir() else Path(name)


def _hint(name: str, logs: Path) -> str:
    return nearest(name, [path.name for path in logs.glob("*") if path.is_dir()])


def _loss(run: Path) -> float | None:
    """Return the validation loss of the best checkpoint of a run; of its last epoch if an older version wrote it."""
    try:
        metrics = read_json(run / METRICS)
    except ConfigError:  # half a file
        return None
    values = (metrics.get(name) for name in ("best/val/loss", "val/loss")) if isinstance(metrics, dict) else ()
    return next((value for value in values if isinstance(value, int | float)), None)
