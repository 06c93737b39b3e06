"""Axes of parallel coordinates: numbers by size, all else by name."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from seqmodels.training.records.reading import as_text

LOGARITHMIC = 20  # numbers above 0 have a logarithmic axis if the largest is so many times the smallest
FEW = 5  # numbers that each have a tick
LOW, HIGH = (224, 123, 57), (37, 99, 184)  # colours of the lowest and highest value of a metric


class Scale(NamedTuple):
    """An axis from 0 to 1: of numbers from ``low`` to ``high``, or of ``names`` in order from the bottom."""

    names: list[str]
    numbers: list[float]  # that occur, in order
    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """Return the axis for the values of runs."""
        known = [value for value in values if value is not None]
        if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            low, high = min(known), max(known)
            return cls([], sorted({*known}), low, high, low > 0 and high >= LOGARITHMIC * low)
        return cls(sorted({as_text(value) or "none" for value in values}), [], 0.0, 1.0, False)

    def height(self, value: Any) -> float | None:
        """Return where a value is; None for none among numbers."""
        if self.names:
            place = self.names.index(as_text(value) or "none")
            return 0.5 if len(self.names) == 1 else place / (len(self.names) - 1)
        if value is None or not math.isfinite(value):
            return None
        if self.high == self.low:
            return 0.5
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return float((value - self.low) / (self.high - self.low))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return places and texts of ticks."""
        if self.names:
            shown = self.names if len(self.names) <= most else [self.names[0], self.names[-1]]
            return [(self.height(name) or 0.0, name) for name in shown]
        if len(self.numbers) <= FEW:
            return [(self.height(value) or 0.0, f"{value:.4g}") for value in self.numbers]
        ratio = self.high / self.low if self.logarithmic else 0
        at = [
            self.low * ratio ** (step / 4) if ratio else self.low + (self.high - self.low) * step / 4
            for step in range(5)
        ]
        return [(step / 4, f"{value:.3g}") for step, value in enumerate(at)]


def colour_of(height: float | None) -> str:
    """Return the colour of a run by the height of its metric, 0 to 1."""
    if height is None:
        return "#8a93a3"
    mixed = (round(low + (high - low) * height) for low, high in zip(LOW, HIGH, strict=True))
    return f"rgb({','.join(map(str, mixed))})"
