"""A number over several runs: its mean and standard deviation."""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple

MOST_DECIMALS = 6


class Spread(NamedTuple):
    """A metric over seeds."""

    mean: float
    deviation: float | None  # None for one seed
    runs: int

    def __str__(self) -> str:
        """Return both with as many decimals as two digits of the deviation need."""
        if self.deviation is None or not self.deviation > 0:
            return f"{self.mean:.4g}" + ("" if self.deviation is None else f" ± {self.deviation:.2g}")
        decimals = max(0, 1 - math.floor(math.log10(self.deviation)))
        if decimals > MOST_DECIMALS:
            return f"{self.mean:.4g} ± {self.deviation:.2g}"
        return f"{self.mean:.{decimals}f} ± {self.deviation:.{decimals}f}"


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation of at least one number.

    Example:
        >>> str(spread_of([0.5, 0.6, 0.7])), str(spread_of([0.5])), str(spread_of([1e-8, 3e-8]))
        ('0.60 ± 0.10', '0.5', '2e-08 ± 1.4e-08')
    """
    if not all(map(math.isfinite, values)):
        return Spread(math.nan, None if len(values) == 1 else math.nan, len(values))
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))
