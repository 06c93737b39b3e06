"""The course of a training, from ``metrics.csv``."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqmodels.errors import ConfigError

MOST = 800  # points of a curve


class Curve(NamedTuple):
    """A metric over a training; ``epochs`` are None where it was logged by steps."""

    steps: list[int]
    epochs: list[int] | None
    values: list[float]

    @property
    def x(self) -> Sequence[float]:
        """Epochs from 1 on if there is one value for each, else steps."""
        return [epoch + 1 for epoch in self.epochs] if self.by_epoch and self.epochs is not None else self.steps

    @property
    def by_epoch(self) -> bool:
        """Whether there is at most one value an epoch."""
        return self.epochs is not None and len({*self.epochs}) == len(self.epochs)


def read_history(folder: Path) -> dict[str, Curve]:
    """Return every metric that was logged in a training, by name; nothing if there is no ``metrics.csv``.

    Raises:
        ConfigError: the file is no table of numbers.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        return {}
    found: dict[str, Curve] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if "step" not in header:
                raise ConfigError(f"{path} has no column step")
            step, epoch = header.index("step"), header.index("epoch") if "epoch" in header else None
            names = [(place, name) for place, name in enumerate(header) if name not in ("step", "epoch")]
            for row in rows:
                if len(row) != len(header) or not row[step]:
                    continue  # half a line, of a process that was killed
                here = int(float(row[step])), int(float(row[epoch])) if epoch is not None and row[epoch] else None
                for place, name in names:
                    if row[place]:
                        _add(found.setdefault(name, Curve([], [], [])), here, float(row[place]))
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return {name: _thinned(curve) for name, curve in found.items()}


def _add(curve: Curve, here: tuple[int, int | None], value: float) -> None:
    curve.steps.append(here[0])
    curve.values.append(value if math.isfinite(value) else math.nan)
    if curve.epochs is not None:
        curve.epochs.append(-1 if here[1] is None else here[1])


def _thinned(curve: Curve) -> Curve:
    """Return a curve of a bounded number of points; its last one stays."""
    epochs = None if curve.epochs is None or -1 in curve.epochs else curve.epochs
    stride = -(-len(curve.values) // MOST)
    kept = sorted({*range(0, len(curve.values), stride), len(curve.values) - 1})
    return Curve(
        [curve.steps[i] for i in kept],
        None if epochs is None else [epochs[i] for i in kept],
        [curve.values[i] for i in kept],
    )
