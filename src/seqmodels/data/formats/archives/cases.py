"""The cases of a file of labelled series, as the ``.ts`` and ``.arff`` readers split them, and their values."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.gaps import Numbers, filled
from seqmodels.data.formats.numbers import parsed_number

Missing = Literal["error", "interpolate"]
UNKNOWN = ("?", "nan")


class Case(NamedTuple):
    """One series as written, and its location: ``"own.ts, line 3"``."""

    place: str
    dimensions: list[str]  # the values of each dimension over time, separated by commas
    label: str = ""  # its class or target number as written; empty if the file has none


class CaseFile(NamedTuple):
    """The cases of a file, and what its header says about them."""

    name: str  # name in error messages
    cases: list[Case]
    class_names: tuple[str, ...] = ()  # as listed in the header; empty if cases have no class
    numeric: bool = False  # whether labels are target numbers
    dimensions: int | None = None  # of every case, if given in the header
    length: int | None = None  # of every case, if given in the header


class SeriesFile(NamedTuple):
    """Content of a file: its cases in order."""

    name: str  # name in error messages
    class_names: tuple[str, ...]  # as listed in the header; empty if cases have no class
    series: list[Tensor]  # one per case, float64 (time, dimensions)
    labels: list[str]  # one per case: its class, or its target number as written; empty if cases have neither
    places: list[str]  # one per case

    @property
    def numeric(self) -> bool:
        """Whether cases have target numbers."""
        return bool(self.labels) and not self.class_names


def content_lines(text: str, comments: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a file without blank lines and those that start like a comment."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith(comments):
            yield number, stripped


def checked_classes(names: list[str], what: str) -> tuple[str, ...]:
    """Return the names of classes in a header.

    Raises:
        ValueError: there are none, or two are the same; ``what`` is the tag and its location.
    """
    if not names:
        raise ValueError(f"{what} must be followed by the names of the classes, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"{what} names a class twice: {' '.join(names)}")
    return tuple(names)


def parse_cases(file: CaseFile, *, missing: Missing = "error") -> SeriesFile:
    """Return the series of all cases.

    Args:
        missing: ``error`` rejects missing values; ``interpolate`` fills them in linearly over time, and with the
            nearest known value at the ends.

    Raises:
        ValueError: there are no cases, or one does not match the header or has invalid values; the message names the
            line and, if applicable, the dimension.
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}")
    if not file.cases:
        raise ValueError(f"{file.name} has no cases after @data")
    labelled = bool(file.class_names) or file.numeric
    dimensions = file.dimensions or max(1, len(file.cases[0].dimensions))
    series = []
    for where, parts, label in file.cases:
        if len(parts) != dimensions:
            label_too = f" and a {'target' if file.numeric else 'class'}" if labelled else ""
            raise ValueError(f"{where}: must have {dimensions} dimensions{label_too}, got {len(parts)}")
        series.append(parse_case(parts, where, missing=missing))
        if file.length not in (None, len(series[-1])):
            raise ValueError(f"{where}: must have {file.length} values, as @seriesLength says, got {len(series[-1])}")
        _check_label(label, file, where)
    labels = [case.label for case in file.cases] if labelled else []
    return SeriesFile(file.name, file.class_names, series, labels, [case.place for case in file.cases])


def _check_label(label: str, file: CaseFile, where: str) -> None:
    if file.class_names and label not in file.class_names:
        raise ValueError(f"{where}: the class must be one of {', '.join(file.class_names)}, got {label!r}")
    if file.numeric and not math.isfinite(parsed_number(label)):
        raise ValueError(f"{where}: the target must be a finite number, got {label!r}")


def parse_case(parts: Sequence[str], where: str, *, missing: Missing = "error") -> Tensor:
    """Return the values of one case, float64 ``(time, dimensions)``, from the text of each dimension.

    Raises:
        ValueError: as :func:`parse_cases`; the message starts with ``where``.
    """
    columns = [_values(part, f"{where}, dimension {number}") for number, part in enumerate(parts, start=1)]
    for number, column in enumerate(columns, start=1):
        if len(column) != len(columns[0]):
            first = len(columns[0])
            raise ValueError(f"{where}, dimension {number}: has {len(column)} values, dimension 1 has {first}")
    case = np.stack(columns)
    if np.isnan(case).any():
        case = np.stack([fill(row, f"{where}, dimension {number}", missing) for number, row in enumerate(case, 1)])
    return torch.from_numpy(case.T.copy())


def _values(text: str, where: str) -> Numbers:
    """Parse the numbers of one dimension; missing ones become NaN."""
    cells = text.split(",")
    values = np.array([parsed_number(cell) for cell in cells])
    for index in (~np.isfinite(values)).nonzero()[0].tolist():
        if (cell := cells[index].strip()).lower() not in UNKNOWN:
            rule = "must be a finite number, or ? where it is missing"
            raise ValueError(f"{where}, value {index + 1}: {rule}, got {cell!r}")
    return values


def fill(column: Numbers, where: str, missing: Missing) -> Numbers:
    """Return the values of one dimension with the missing ones, NaN, filled in.

    Raises:
        ValueError: a value is missing with ``missing="error"``, or all are.
    """
    unknown = np.isnan(column)
    if not unknown.any():
        return column
    if missing == "error":
        first = int(unknown.argmax()) + 1
        raise ValueError(
            f"{where}: value {first} is missing; training with data.missing=interpolate fills such values in"
        )
    if unknown.all():
        raise ValueError(f"{where}: all values are missing, which leaves none to fill them in from")
    return filled(column, unknown, "linear")
