"""Calendar features of times on the wall clock, from -0.5 to 0.5; also known for the future."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.formats.times.zones import Times
from seqmodels.errors import nearest

Share = NDArray[np.float64]


def _within(times: Times, unit: str) -> Times:
    """Round each timestamp down to the start of its unit."""
    return times.astype(f"datetime64[{unit}]").astype("datetime64[us]")


def _share(times: Times, unit: str, part: str, parts: int) -> Share:
    """Return the index of each timestamp among the ``parts`` of its ``unit``, divided by the last index."""
    number = (times - _within(times, unit)).astype(f"timedelta64[{part}]").astype(np.int64)
    return number / (parts - 1)


def _weekday(times: Times) -> Share:
    """Monday is the first day; 1970-01-01 was a Thursday."""
    return ((times.astype("datetime64[D]").astype(np.int64) + 3) % 7) / 6


def _month(times: Times) -> Share:
    return (times.astype("datetime64[M]").astype(np.int64) % 12) / 11


FEATURES: dict[str, Callable[[Times], Share]] = {
    "minute": lambda times: _share(times, "h", "m", 60),
    "hour": lambda times: _share(times, "D", "h", 24),
    "weekday": _weekday,
    "day": lambda times: _share(times, "M", "D", 31),
    "day_of_year": lambda times: _share(times, "Y", "D", 366),
    "month": _month,
}


def check_calendar(names: Sequence[str]) -> None:
    """Raise ``ValueError`` unless every name is one of :data:`FEATURES`."""
    for name in names:
        if name not in FEATURES:
            known = f"{', '.join(FEATURES)}, got {name!r}{nearest(name, FEATURES)}"
            raise ValueError(f"calendar must name some of {known}")


def calendar_features(times: Times | None, names: Sequence[str], steps: int) -> Tensor:
    """Return the features ``names`` of each timestamp, ``(steps, features)`` float32.

    Raises:
        ValueError: ``names`` without ``times``.
    """
    if not names:
        return torch.zeros(steps, 0)
    if times is None:
        raise ValueError(f"calendar features ({', '.join(names)}) need a time column: data.time=...")
    return torch.from_numpy(np.stack([FEATURES[name](times) - 0.5 for name in names], 1)).float()
