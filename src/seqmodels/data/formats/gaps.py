"""Imputation of missing values in a series."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Impute = Literal["forward", "linear", "zero", "seasonal"]
Numbers = NDArray[np.float64]


class Filled(NamedTuple):
    """What was filled in.

    Example:
        >>> str(Filled(rows=1, values=2, places=("my.csv, line 4, column b",)))
        '1 missing row inserted, 2 missing values filled in: my.csv, line 4, column b'
    """

    rows: int = 0
    """Rows inserted for missing times."""
    values: int = 0
    """Values missing in the rows of the file."""
    places: tuple[str, ...] = ()
    """The first few of them."""

    def __str__(self) -> str:
        kinds = ((self.rows, "row", "inserted"), (self.values, "value", "filled in"))
        counts = [f"{count} missing {what}{'s' if count > 1 else ''} {done}" for count, what, done in kinds if count]
        return ": ".join(part for part in (", ".join(counts), "; ".join(self.places)) if part)


def filled(values: Numbers, missing: NDArray[np.bool_], impute: Impute, season: int = 1) -> Numbers:
    """Return ``values (steps,)`` with the ``missing`` ones filled in; at least one is known.

    ``forward`` repeats the previous value, ``zero`` uses 0, ``linear`` interpolates between the neighbours (and so
    looks ahead), and ``seasonal`` repeats the value one season before. At the start, where there is no value before,
    ``forward`` and ``linear`` use the first one that is known, and ``seasonal`` does what ``forward`` does.
    """
    steps = np.arange(len(values))
    if impute == "zero":
        return np.where(missing, 0.0, values)
    if impute == "linear":
        return np.where(missing, np.interp(steps, steps[~missing], values[~missing]), values)
    known = values.copy()
    if impute == "seasonal":
        missing = missing.copy()
        for step in missing.nonzero()[0].tolist():
            if step >= season and not missing[step - season]:
                known[step], missing[step] = known[step - season], False
    return known[np.maximum.accumulate(np.where(missing, int(missing.argmin()), steps))]
