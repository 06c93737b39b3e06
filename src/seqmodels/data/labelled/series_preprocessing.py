"""Preprocessing of numeric series, standardised like the training data."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.archives.cases import UNKNOWN, Missing, parse_case
from seqmodels.data.formats.archives.files import read_cases, series_format
from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.records import Record, readable
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.targets import TargetFields
from seqmodels.data.preprocessing import is_array, listed
from seqmodels.data.sequences import Sequences
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
class SeriesPreprocessing(LabelledPreprocessing):
    """A record's field ``series`` (or ``text``) as a sequence of steps, standardised per channel.

    In JSON, the field is a list of steps, each a list with one number per channel, or a plain number for a single
    channel. As text, it is a line in the ``.ts`` format, ``1.0,2.0,3.0:4.0,5.0,6.0`` for two channels and three steps;
    a class or target after the last channel is used as such. Files in the formats ``.ts`` and ``.arff`` are read too.

    Args:
        mean, deviation: per channel, from the training data.
        missing: as in :func:`~seqmodels.data.formats.archives.cases.parse_cases`.
        target: field of the class or target number of a labelled record.
        target_mean, target_deviation: of the target number, from the training data; empty if targets are classes, or
            numbers that are not scaled.

    Example:
        >>> fitted = SeriesPreprocessing(mean=[2.0], deviation=[0.5])
        >>> fitted.encode({"series": [1.0, 2.0, 3.0]}).tolist()
        [[-2.0], [0.0], [2.0]]
    """

    mean: Sequence[float]
    deviation: Sequence[float]
    missing: Missing = "error"
    target: str = "label"
    target_mean: Sequence[float] = ()
    target_deviation: Sequence[float] = ()

    def __post_init__(self) -> None:
        channels, others = len(self.mean), len(self.deviation)
        if channels != others:
            raise ValueError(f"mean and deviation must have one value a channel, got {channels} and {others}")
        if not all(value > 0 for value in self.deviation):
            raise ValueError(f"deviation must be positive, got {list(self.deviation)}")
        self.scaling = Scaling.of(self.mean, self.deviation)
        self.targets = TargetFields.of([self.target], self.target_mean, self.target_deviation)

    def scaled(self, series: Tensor) -> Tensor:
        return self.scaling.apply(series.double()).float()

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        if series_format(path, format) is None:
            yield from super().read(path, format)
            return
        file = read_cases(path, format)
        labelled = bool(file.class_names) or file.numeric
        exact = labelled or series_format(path, format) == "arff"  # else a line may end with a class all the same
        for place, dimensions, label in file.cases:
            fields = {self.target: label} if labelled else {}
            channels, beside = len(self.mean), f" beside its {self.target}" if labelled else ""
            wrong = exact and len(dimensions) != channels
            error = f"{place}: must have {channels} channels{beside}, got {len(dimensions)}" if wrong else ""
            yield Record(place, {"series": tuple(dimensions), **fields}, error)

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for an array ``(time, channels)``, or ``(time,)`` if there is one channel."""
        return {"series": listed(value)} if is_array(value) else super().fields_of(value)

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the standardised series of a record, ``(time, channels)``."""
        field = filled_field(record, "series")
        value = record[field]
        dimensions = value.strip().split(":") if isinstance(value, str) else value
        is_text = isinstance(value, str | tuple)
        return self.encoded(self._parsed(dimensions, field) if is_text else self._steps(value, field), field)

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> Sequences:
        return super().labelled(
            (record._replace(fields=self._with_target(record.fields)) for record in readable(records)), class_names
        )

    def _with_target(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a record with the target after the last colon of its line, if it has one there, as a field."""
        line = fields.get(filled_field(fields, "series"))
        if self.target in fields or not isinstance(line, str) or line.count(":") != len(self.mean):
            return fields
        return {**fields, self.target: line.rpartition(":")[2]}

    def _parsed(self, parts: Sequence[str], field: str) -> Tensor:
        """Return the series of a line, without the class or target that may follow it."""
        channels = len(self.mean)
        if len(parts) not in (channels, channels + 1) or any(map(_are_values, parts[channels:])):
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
                wanted = "one number" if channels == 1 else f"{channels} numbers"
                raise ValueError(f"{field}, step {number}: must have {wanted}, got {steps[number - 1]!r:.60}")
        try:
            series = torch.tensor(rows, dtype=torch.float64)
        except OverflowError as error:  # an integer with hundreds of digits
            raise ValueError(f"{field}: a number is too large") from error
        if not bool(series.isfinite().all()):
            number = int((~series.isfinite()).any(1).nonzero()[0]) + 1
            raise ValueError(f"{field}, step {number}: must be finite, got {steps[number - 1]!r}")
        return series


def _are_values(part: str) -> bool:
    """Return whether a part of a line has the values of a channel, not a class or target: several numbers."""
    cells = part.split(",")
    return len(cells) > 1 and all(
        cell.strip().lower() in UNKNOWN or math.isfinite(parsed_number(cell)) for cell in cells
    )
