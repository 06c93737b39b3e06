"""Preprocessing of numeric series, standardised like the training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.ts import Missing, parse_case
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.series.scaling import Scaling


def filled_field(record: Mapping[str, Any], name: str) -> str:
    """Return the field holding the values of a record: ``name``, or ``text`` for lines of a plain file.

    Raises:
        ValueError: the record has neither.
    """
    for field in (name, "text"):
        if record.get(field) is not None:
            return field
    raise ValueError(f"a record must have a field {name} or text, got {', '.join(record) or 'none'}")


@dataclass(kw_only=True)
class SeriesPreprocessing(Preprocessing):
    """A record's field ``series`` (or ``text``) as a sequence of steps, standardised per channel.

    In JSON, the field is a list of steps, each a list with one number per channel, or a plain number for a single
    channel. As text, it is a line in the ``.ts`` format, ``1.0,2.0,3.0:4.0,5.0,6.0`` for two channels and three steps;
    a class after the last channel is ignored.

    Args:
        mean, deviation: per channel, from the training data.
        missing: as in :func:`~seqmodels.data.formats.ts.parse_ts`.
    """

    mean: Sequence[float]
    deviation: Sequence[float]
    missing: Missing = "error"

    def __post_init__(self) -> None:
        channels, others = len(self.mean), len(self.deviation)
        if channels != others:
            raise ValueError(f"mean and deviation must have one value a channel, got {channels} and {others}")
        if not all(value > 0 for value in self.deviation):
            raise ValueError(f"deviation must be positive, got {list(self.deviation)}")
        self.scaling = Scaling.of(self.mean, self.deviation)

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the standardised series of a record, ``(time, channels)``."""
        field = filled_field(record, "series")
        value = record[field]
        values = self._line(value, field) if isinstance(value, str) else self._steps(value, field)
        series = self.scaling.apply(values).float()
        if not bool(series.isfinite().all()):
            step = int((~series.isfinite()).any(1).nonzero()[0]) + 1
            raise ValueError(f"{field}, step {step}: a value is too large to be a finite number once standardised")
        return series

    def _line(self, text: str, field: str) -> Tensor:
        parts = text.strip().split(":")
        channels = len(self.mean)
        if len(parts) not in (channels, channels + 1):
            raise ValueError(f"{field}: must have {channels} channels, separated by colons, got {len(parts)}")
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
        except OverflowError as error:  # an integer with hundreds of digits
            raise ValueError(f"{field}: a number is too large") from error
        if not bool(series.isfinite().all()):
            number = int((~series.isfinite()).any(1).nonzero()[0]) + 1
            raise ValueError(f"{field}, step {number}: must be finite, got {steps[number - 1]!r}")
        return series
