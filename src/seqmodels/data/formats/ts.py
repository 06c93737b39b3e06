"""The ``.ts`` format of the UCR and UEA archives: tags, then one case per line, with dimensions separated by colons.

A line is ``1.0,2.0,3.0:4.0,5.0,6.0:label``: values of the first dimension over time, then of the second, then the
class. ``?`` (or ``NaN``) marks a missing value. Cases may differ in length.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.gaps import Numbers, filled
from seqmodels.data.formats.numbers import parsed_number

Missing = Literal["error", "interpolate"]

SWITCHES = ("timestamps", "missing", "univariate", "equallength")
UNKNOWN = ("?", "nan")


class SeriesFile(NamedTuple):
    """Content of a file: its cases in order."""

    name: str  # name in error messages
    class_names: tuple[str, ...]  # as listed in the header; empty if cases have no class
    series: list[Tensor]  # one per case, float64 (time, dimensions)
    labels: list[str]  # one per case; empty if cases have no class


class _Header(NamedTuple):
    class_names: tuple[str, ...]
    dimensions: int | None  # if given in the header
    length: int | None  # of every case, if given in the header
    first_line: int  # line number of the first line after the header


def parse_ts(text: str, name: str, *, missing: Missing = "error") -> SeriesFile:
    """Parse a file in the ``.ts`` format; ``name`` is used in error messages.

    Args:
        missing: ``error`` rejects missing values; ``interpolate`` fills them in linearly over time, and with the
            nearest known value at the ends.

    Raises:
        ValueError: invalid format, timestamps, numeric targets, or a missing value with ``missing="error"``; the
            message names the line and, if applicable, the dimension.
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}")
    lines = text.removeprefix("\ufeff").split("\n")
    header = _header(lines, name)
    series: list[Tensor] = []
    labels: list[str] = []
    for number, line in _content(lines, header.first_line):
        where = f"{name}, line {number}"
        *parts, label = line.split(":") if header.class_names else [*line.split(":"), ""]
        dimensions = series[0].shape[1] if series else header.dimensions or max(1, len(parts))
        if len(parts) != dimensions:
            label_too = " and a class" if header.class_names else ""
            raise ValueError(f"{where}: must have {dimensions} dimensions{label_too}, got {len(parts)}")
        series.append(parse_case(parts, where, missing=missing))
        if header.length not in (None, len(series[-1])):
            raise ValueError(f"{where}: must have {header.length} values, as @seriesLength says, got {len(series[-1])}")
        if header.class_names:
            labels.append(label.strip())
            if labels[-1] not in header.class_names:
                known = ", ".join(header.class_names)
                raise ValueError(f"{where}: the class must be one of {known}, got {labels[-1]!r}")
    if not series:
        raise ValueError(f"{name} has no cases after @data")
    return SeriesFile(name, header.class_names, series, labels)


def _content(lines: list[str], first: int) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines from ``first`` on, without blank lines and comments."""
    for number, line in enumerate(lines[first - 1 :], start=first):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _header(lines: list[str], name: str) -> _Header:
    class_names: tuple[str, ...] = ()
    numbers: dict[str, int] = {}
    for line, content in _content(lines, 1):
        where = f"{name}, line {line}"
        tag, *values = content.split()
        tag = tag.lower()
        if tag == "@data":
            dimensions = numbers.get("@dimensions", numbers.get("@dimension"))
            return _Header(class_names, dimensions, numbers.get("@serieslength"), line + 1)
        if not tag.startswith("@"):
            raise ValueError(f"{where}: a header has tags that start with @ up to @data, got {content[:40]!r}")
        if tag in ("@dimension", "@dimensions", "@serieslength"):
            numbers[tag] = _whole(values, tag, where)
        elif tag in ("@classlabel", "@targetlabel") or tag[1:] in SWITCHES:
            is_on = _switch(values, tag, where)
            if tag == "@timestamps" and is_on:
                raise ValueError(f"{where}: series with timestamps are not read; resample them at equal intervals")
            if tag == "@targetlabel" and is_on:
                raise ValueError(f"{where}: cases with numbers for targets are not read, only those with classes")
            if tag == "@classlabel" and is_on:
                class_names = _class_names(values[1:], where)
    raise ValueError(f"{name} has no line @data: it is no file of the .ts format")


def _whole(values: list[str], tag: str, where: str) -> int:
    if len(values) != 1 or not values[0].isdecimal() or int(values[0]) < 1:
        raise ValueError(f"{where}: {tag} must be followed by a positive whole number, got {' '.join(values)!r}")
    return int(values[0])


def _switch(values: list[str], tag: str, where: str) -> bool:
    if not values or values[0].lower() not in ("true", "false"):
        raise ValueError(f"{where}: {tag} must be followed by true or false, got {' '.join(values)!r}")
    return values[0].lower() == "true"


def _class_names(names: list[str], where: str) -> tuple[str, ...]:
    if not names:
        raise ValueError(f"{where}: @classLabel true must be followed by the names of the classes, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"{where}: @classLabel names a class twice: {' '.join(names)}")
    return tuple(names)


def parse_case(parts: list[str], where: str, *, missing: Missing = "error") -> Tensor:
    """Return the values of one case, float64 ``(time, dimensions)``, from the text of each dimension.

    Raises:
        ValueError: as :func:`parse_ts`; the message starts with ``where``.
    """
    columns = [_values(part, f"{where}, dimension {number}") for number, part in enumerate(parts, start=1)]
    for number, column in enumerate(columns, start=1):
        if len(column) != len(columns[0]):
            first = len(columns[0])
            raise ValueError(f"{where}, dimension {number}: has {len(column)} values, dimension 1 has {first}")
    case = np.stack(columns)
    if np.isnan(case).any():
        case = np.stack([_filled(row, f"{where}, dimension {number}", missing) for number, row in enumerate(case, 1)])
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


def _filled(column: Numbers, where: str, missing: Missing) -> Numbers:
    """Fill in the missing values of one dimension."""
    unknown = np.isnan(column)
    if not unknown.any():
        return column
    if missing == "error":
        first = int(unknown.argmax()) + 1
        raise ValueError(f"{where}: value {first} is missing; missing=interpolate fills such values in")
    if unknown.all():
        raise ValueError(f"{where}: all values are missing, which leaves none to fill them in from")
    return filled(column, unknown, "linear")
