"""Series of numbers, standardised as the training data were."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.ts_format import Missing, parse_case
from seqmodels.system.names import public_name

FIELDS = ("series", "text")  # where a record has its values; a file of plain lines has them in ``text``


class SeriesPreprocessing(Preprocessing):
    """A record's field ``series`` (or ``text``) as a sequence of steps, each channel standardised by itself.

    In JSON the field is a list of steps, each a list with a number for every channel, or a number where there is one
    channel. As text it is a line of the ``.ts`` format, ``1.0,2.0,3.0:4.0,5.0,6.0`` for two channels and three steps; a
    class behind the last channel is passed over.

    Args:
        mean, deviation: of each channel, taken from training data.
        missing: as in :func:`~seqmodels.data.ts_format.parse_ts`.
    """

    def __init__(self, *, mean: Sequence[float], deviation: Sequence[float], missing: Missing = "error") -> None:
        if len(mean) != len(deviation):
            raise ValueError(f"mean and deviation must have one value a channel, got {len(mean)} and {len(deviation)}")
        if not all(value > 0 for value in deviation):
            raise ValueError(f"deviation must be positive, got {list(deviation)}")
        self.mean = torch.tensor(mean, dtype=torch.float64)
        self.deviation = torch.tensor(deviation, dtype=torch.float64)
        self.missing = missing

    def standardized(self, series: Tensor) -> Tensor:
        """Return ``series (time, channels)`` less the mean, over the deviation, as float32."""
        return ((series - self.mean) / self.deviation).float()

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the standardised series of a record, ``(time, channels)``."""
        field = next((name for name in FIELDS if record.get(name) is not None), None)
        if field is None:
            raise ValueError(f"a record must have a field {' or '.join(FIELDS)}, got {', '.join(record) or 'none'}")
        value = record[field]
        series = self.standardized(self._line(value, field) if isinstance(value, str) else self._steps(value, field))
        if not bool(series.isfinite().all()):
            step = int((~series.isfinite()).any(1).nonzero()[0]) + 1
            raise ValueError(f"{field}, step {step}: a value is too large to be a finite number once standardised")
        return series

    def _line(self, text: str, field: str) -> Tensor:
        parts = text.strip().split(":")
        channels = len(self.mean)
        if len(parts) not in (channels, channels + 1):
            raise ValueError(f"{field}: must have {channels} channels, parted by colons, got {len(parts)}")
        return parse_case(parts[:channels], field, missing=self.missing)

    def _steps(self, value: Any, field: str) -> Tensor:
        channels = len(self.mean)
        steps = value if isinstance(value, list) else []
        rows = [step if isinstance(step, list) else [step] for step in steps]
        if not rows:
            raise ValueError(f"{field}: must be a list of at least one step, got {value!r}")
        for number, row in enumerate(rows, start=1):
            numbers = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in row)
            if len(row) != channels or not numbers:
                raise ValueError(f"{field}, step {number}: must have {channels} numbers, got {steps[number - 1]!r}")
        try:
            series = torch.tensor(rows, dtype=torch.float64)
        except OverflowError as error:  # a whole number of hundreds of digits
            raise ValueError(f"{field}: a number is too large") from error
        if not bool(series.isfinite().all()):
            number = int((~series.isfinite()).any(1).nonzero()[0]) + 1
            raise ValueError(f"{field}, step {number}: must be finite, got {steps[number - 1]!r}")
        return series


def standardization(mean: Sequence[float], deviation: Sequence[float]) -> dict[str, Any]:
    """Return the node of a :class:`SeriesPreprocessing` that subtracts ``mean`` and divides by ``deviation``."""
    return {"_target_": public_name(SeriesPreprocessing), "mean": list(mean), "deviation": list(deviation)}


def fit_standardization(series: Sequence[Tensor]) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel over all steps of all ``series (time_i, channels)``.

    The deviation of a channel that never changes is given as 1: it then becomes 0, not a division by zero.
    """
    values = torch.cat(list(series))
    deviation = values.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    return values.mean(0).tolist(), deviation.tolist()
