"""Filling the missing values of a series."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Impute = Literal["forward", "linear", "zero"]
Numbers = NDArray[np.float64]


def filled(values: Numbers, missing: NDArray[np.bool_], impute: Impute, place: str) -> Numbers:
    """Return ``values (steps,)`` with those that are ``missing`` filled.

    ``forward`` takes the last value before, ``zero`` a 0, ``linear`` the straight line between the values on both
    sides (so that it looks ahead), the nearest value at the ends.

    Raises:
        ValueError: the first value is missing, and ``forward`` has nothing to fill it with; ``place`` names it.
    """
    steps = np.arange(len(values))
    if impute == "zero":
        return np.where(missing, 0.0, values)
    if impute == "linear":
        return np.where(missing, np.interp(steps, steps[~missing], values[~missing]), values)
    if missing[0]:
        raise ValueError(f"{place}: the first value is missing, and impute=forward has none before it")
    return values[np.maximum.accumulate(np.where(missing, 0, steps))]
