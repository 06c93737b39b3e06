"""Imputation of missing values in a series."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Impute = Literal["forward", "linear", "zero"]
Numbers = NDArray[np.float64]


def filled(values: Numbers, missing: NDArray[np.bool_], impute: Impute, place: str) -> Numbers:
    """Return ``values (steps,)`` with the ``missing`` ones filled in.

    ``forward`` repeats the previous value, ``zero`` uses 0, and ``linear`` interpolates between the neighbours (and so
    looks ahead), using the nearest value at the ends.

    Raises:
        ValueError: the first value is missing, so ``forward`` has nothing to repeat; ``place`` is its location.
    """
    steps = np.arange(len(values))
    if impute == "zero":
        return np.where(missing, 0.0, values)
    if impute == "linear":
        return np.where(missing, np.interp(steps, steps[~missing], values[~missing]), values)
    if missing[0]:
        raise ValueError(f"{place}: the first value is missing, and impute=forward has none before it")
    return values[np.maximum.accumulate(np.where(missing, 0, steps))]
