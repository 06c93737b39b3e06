"""Targets of labelled records as tensors: classes by name, or scaled numbers."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.records import Record
from seqmodels.data.series.scaling import Scaling
from seqmodels.errors import shortened

SHOWN = 20
"""Number of labels, and of places of each, that an error shows."""


class Conflict(NamedTuple):
    """In place of a target that differs within a sequence, which matters only where targets are read."""

    reason: str  # with the location


class TargetFields(NamedTuple):
    """The fields of a labelled record that hold its targets, and the scaling of target numbers."""

    names: tuple[str, ...]
    scaling: Scaling  # one value per field; the identity unless numbers were scaled in training

    @classmethod
    def of(cls, names: Sequence[str], mean: Sequence[float] = (), deviation: Sequence[float] = ()) -> "TargetFields":
        """Build from plain values; without ``mean`` and ``deviation``, numbers are not scaled.

        Raises:
            ValueError: mean and deviation do not match the names, or a deviation is not positive.
        """
        mean, deviation = mean or [0.0] * len(names), deviation or [1.0] * len(names)
        if not len(mean) == len(deviation) == len(names) or not all(value > 0 for value in deviation):
            raise ValueError(
                f"target_mean and a positive target_deviation must have one value for each of {', '.join(names)}, "
                f"got {list(mean)} and {list(deviation)}"
            )
        return cls(tuple(names), Scaling.of(mean, deviation))

    def scaled(self, rows: Iterable[Sequence[Any]], places: Iterable[str]) -> Tensor:
        """Return target numbers scaled, float32 ``(rows, targets)``.

        Raises:
            ValueError: a target is not a number; the message has its location.
        """
        return self.scaling.apply(number_targets(rows, places, self.names)).float()

    @property
    def sizes(self) -> dict[str, Any]:
        """Keywords for a regression task that restores the units of scaled numbers."""
        mean, deviation = self.scaling.mean.tolist(), self.scaling.deviation.tolist()
        return {"target_names": list(self.names), "target_mean": mean, "target_deviation": deviation}

    def read(self, records: Sequence[Record], class_names: Sequence[str]) -> Tensor | list[Tensor]:
        """Return the targets of records.

        Args:
            records: labelled records; a list of labels is one per step.
            class_names: the classes by index; empty if targets are numbers.

        Returns:
            ``(rows,)`` int64 classes; or a list of ``(time_i,)`` if there is one per step; or ``(rows, targets)``
            float32 scaled numbers.

        Raises:
            ValueError: a target is missing or not a number, or labels are not classes; the message has the locations.
        """
        cells = [[field_of(record, name) for name in self.names] for record in records]
        places = [record.place for record in records]
        if not class_names:
            return self.scaled(cells, places)
        labels = [row[0] for row in cells]
        if not any(isinstance(label, list) for label in labels):
            return class_targets(labels, places, class_names)
        steps = [label if isinstance(label, list) else [label] for label in labels]
        where = [place for place, row in zip(places, steps, strict=True) for _ in row]
        together = class_targets([label for row in steps for label in row], where, class_names)
        return list(together.split([len(row) for row in steps]))


def class_names_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return all classes, sorted; numerically if they are integers."""
    names = set(labels)
    numbers = all(len(name) < 20 and name.isascii() and name.removeprefix("-").isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))


def class_targets(labels: Iterable[Any], places: Iterable[str], class_names: Sequence[str]) -> Tensor:
    """Return the index of each label among the classes, int64 ``(rows,)``.

    Raises:
        ValueError: labels are not classes; the message names all of them, with the locations where they occur first.
    """
    index, strange, found = {name: n for n, name in enumerate(class_names)}, dict[str, list[str]](), []
    for label, place in zip(map(str, labels), places, strict=True):
        found.append(index.get(label, -1))
        if label not in index:
            strange.setdefault(label, []).append(place)
    if strange:
        each = [f"{label!r} ({shortened(where, SHOWN, '; ')})" for label, where in strange.items()]
        known = shortened(class_names, SHOWN)
        raise ValueError(f"labels that do not occur in the train split: {shortened(each, SHOWN)}; there: {known}")
    return torch.tensor(found, dtype=torch.long)


def number_targets(rows: Iterable[Sequence[Any]], places: Iterable[str], names: Sequence[str]) -> Tensor:
    """Return the target numbers of each row, float64 ``(rows, targets)``.

    Raises:
        ValueError: a target is not a finite number; the message names its location and field.
    """
    numbers = [
        [_number(cell, f"{place}, {name}") for cell, name in zip(row, names, strict=True)]
        for row, place in zip(rows, places, strict=True)
    ]
    return torch.tensor(numbers, dtype=torch.float64).reshape(-1, len(names))


def _number(cell: Any, where: str) -> float:
    value = math.nan if isinstance(cell, bool) else parsed_number(str(cell))
    if not math.isfinite(value):
        raise ValueError(f"{where}: the target must be a finite number, got {cell!r}")
    return value


def field_of(record: Record, name: str) -> Any:
    """Return the field of a record that holds a target.

    Raises:
        ValueError: the record has no such field, or it is empty or differs within the record.
    """
    value = record.fields.get(name)
    if isinstance(value, Conflict):
        raise ValueError(value.reason)
    if value is None or (isinstance(value, str) and not value.strip()):
        there = ", ".join(map(repr, record.fields)) or "none"
        found = f"it is {value!r}" if name in record.fields else f"its fields are {there}"
        raise ValueError(f"{record.place}: the target {name!r} is missing: {found}")
    return value.strip() if isinstance(value, str) else value
