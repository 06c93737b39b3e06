"""The rows of ``metrics.csv`` over an interruption: Lightning's CSV log deletes the file that it finds."""

import csv
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger


def written_rows(trainer: Trainer) -> dict[str, int]:
    """Write what the CSV logs hold back; return how many rows each file then has."""
    rows = {}
    for logger in trainer.loggers:
        if isinstance(logger, CSVLogger):
            logger.save()
            rows[logger.log_dir] = _count(_path(logger))
    return rows


def set_aside(loggers: list[CSVLogger]) -> None:
    """Put the files of CSV logs where the logs do not delete them; those of a start that was broken off stay."""
    for logger in loggers:
        if _path(logger).is_file() and not _aside(logger).is_file():
            _path(logger).replace(_aside(logger))


def forget(loggers: list[CSVLogger]) -> None:
    """Remove what was set aside: the run begins anew."""
    for logger in loggers:
        _aside(logger).unlink(missing_ok=True)


def restore(logger: CSVLogger, rows: int) -> None:
    """Begin a CSV log with the first ``rows`` rows of the file that was set aside."""
    aside = _aside(logger)
    if not aside.is_file():
        return
    writer = logger.experiment
    writer.metrics = [{name: value for name, value in row.items() if value} for row in _read(aside)[:rows]]
    writer.save()
    aside.unlink()


def _path(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, "metrics.csv")


def _aside(logger: CSVLogger) -> Path:
    return Path(logger.log_dir, ".metrics.before.csv")


def _count(path: Path) -> int:
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0  # no value has a line break


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
