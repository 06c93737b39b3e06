"""Find trained models: run folders, model folders, checkpoints, and ``latest`` or ``best:NAME`` among the runs."""

import logging
from pathlib import Path

from seqmodels.errors import ConfigError, nearest
from seqmodels.training.runs import read_json

log = logging.getLogger("seqmodels")

LOGS = Path("logs")
REFIT = "refit"
"""Checkpoint of a model that was trained again on all data."""


def run_folder(run: str, logs: Path = LOGS) -> Path:
    """Return the run, model folder or checkpoint that ``run`` names.

    Args:
        run: a path; or ``latest``, the run that finished last; or ``best:NAME``, the finished run in ``logs/NAME`` with
            the lowest validation loss of its best checkpoint.
        logs: folder of the runs.

    Raises:
        ConfigError: there is no such run.
    """
    kind, colon, name = run.partition(":")
    if Path(run).exists() or not (run == "latest" or (kind == "best" and colon)):
        if not Path(run).exists():
            raise ConfigError(f"run={run}: there is no such folder or file")
        return Path(run)
    if run == "latest":
        finished = _finished(logs)
        if not finished:
            raise ConfigError(f"run=latest: there is no finished run in {logs.absolute()}")
        return max(finished, key=lambda folder: (folder / "metrics.json").stat().st_mtime_ns)
    losses = {folder: loss for folder in _finished(logs / name) if (loss := _loss(folder)) is not None}
    if not losses:
        names = [path.name for path in logs.glob("*") if path.is_dir()]
        raise ConfigError(
            f"run={run}: no finished run in {(logs / name).absolute()} has a val/loss{nearest(name, names)}"
        )
    return min(losses, key=lambda folder: losses[folder])


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


def _finished(folder: Path) -> list[Path]:
    return [path.parent for path in folder.rglob("metrics.json") if (path.parent / "checkpoints").is_dir()]


def _loss(run: Path) -> float | None:
    """Return the validation loss of the best checkpoint of a run; of its last epoch if an older version wrote it."""
    metrics = read_json(run / "metrics.json")
    values = (metrics.get(name) for name in ("best/val/loss", "val/loss"))
    return next((value for value in values if isinstance(value, int | float)), None)
