"""The rows of ``metrics.csv`` over an interruption: Lightning's CSV log deletes the file that it finds."""

import csv
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger


def written_rows(trainer: Trainer) -> list[int]:
    """Write what the CSV logs hold back; return how many rows the file of each then has."""
    for logger in _logs(trainer):
        logger.save()
    return [_count(_path(logger)) for logger in _logs(trainer)]


def set_aside(trainer: Trainer) -> None:
    """Put the files of CSV logs where the logs do not delete them; those of a start that was broken off stay."""
    for logger in _logs(trainer):
        if _path(logger).is_file() and not _aside(logger).is_file():
            _path(logger).replace(_aside(logger))


def forget(trainer: Trainer) -> None:
    """Remove what was set aside: the run begins anew."""
    for logger in _logs(trainer):
        _aside(logger).unlink(missing_ok=True)


def restore(trainer: Trainer, rows: list[int]) -> None:
    """Begin each CSV log with as many rows of the file that was set aside; one that had no log then stays empty."""
    for logger, count in zip(_logs(trainer), rows, strict=False):
        aside = _aside(logger)
        if aside.is_file():
            writer = logger.experiment
            writer.metrics = [{name: value for name, value in row.items() if value} for row in _read(aside)[:count]]
            writer.save()
            aside.unlink()


def _logs(trainer: Trainer) -> list[CSVLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]


def _path(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, "metrics.csv")


def _aside(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, ".metrics.before.csv")


def _count(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0  # no value has a line break


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
