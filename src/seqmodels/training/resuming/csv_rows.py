"""Preserve ``metrics.csv`` when a run is resumed: Lightning's CSV logger deletes an existing file."""

import csv
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger


def flush_and_count_rows(trainer: Trainer) -> list[int]:
    """Write the buffered rows of all CSV loggers; return the number of rows in the file of each."""
    for logger in _logs(trainer):
        logger.save()
    return [_count(_path(logger)) for logger in _logs(trainer)]


def back_up(trainer: Trainer) -> None:
    """Move the files of CSV loggers where these do not delete them; an existing backup of a failed start is kept."""
    for logger in _logs(trainer):
        if _path(logger).is_file() and not _backup(logger).is_file():
            _path(logger).replace(_backup(logger))


def discard_backup(trainer: Trainer) -> None:
    """Remove the backups, for a run that starts from scratch."""
    for logger in _logs(trainer):
        _backup(logger).unlink(missing_ok=True)


def restore(trainer: Trainer, rows: list[int]) -> None:
    """Start each CSV log with the given number of rows of its backup; a log without a backup stays empty."""
    for logger, count in zip(_logs(trainer), rows, strict=False):
        backup = _backup(logger)
        if backup.is_file():
            writer = logger.experiment
            writer.metrics = [{name: value for name, value in row.items() if value} for row in _read(backup)[:count]]
            writer.save()
            backup.unlink()


def _logs(trainer: Trainer) -> list[CSVLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]


def _path(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, "metrics.csv")


def _backup(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, ".metrics.before.csv")


def _count(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0  # values contain no line breaks


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
