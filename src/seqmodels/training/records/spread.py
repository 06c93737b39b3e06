"""A number over several runs: its mean and standard deviation."""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple


class Spread(NamedTuple):
    """A metric over seeds."""

    mean: float
    deviation: float | None  # None for one seed
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if self.deviation is None else f" ± {self.deviation:.2g}")


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation of at least one number.

    Example:
        >>> str(spread_of([0.5, 0.75, 1.0])), str(spread_of([0.5]))
        ('0.75 ± 0.25', '0.5')
    """
    if not all(map(math.isfinite, values)):
        return Spread(math.nan, None if len(values) == 1 else math.nan, len(values))
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))
