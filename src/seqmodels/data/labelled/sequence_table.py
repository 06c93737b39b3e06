"""Sequences in a table: one per row, or one per value of an id column."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.records import Record, readable
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.labelled.targets import Conflict
from seqmodels.data.splitting import split_stratified
from seqmodels.errors import nearest


class SequenceLayout(NamedTuple):
    """Which columns of a table hold what."""

    names: tuple[str, ...]
    """The channels of a step."""
    columns: tuple[tuple[str, ...], ...]
    """Per channel, one column with a row per step, or one column for each step."""
    target: tuple[str, ...]
    """The class, or the target numbers."""
    id: str | None = None
    """Tells the sequence of a row; None: each row is a sequence."""
    time: str | None = None
    """Orders the rows of a sequence; None: they are in order."""


class SequenceRecords(NamedTuple):
    """Labelled sequences as written: the records of a table, each with its location and its columns."""

    records: list[Record]
    layout: SequenceLayout
    dialect: CSVDialect  # how the table was read
    classes: bool  # whether the target is a class; else numbers

    @property
    def labels(self) -> list[str]:
        """The class of each sequence, as written."""
        return [str(record.fields.get(self.layout.target[0])).strip() for record in self.records]

    def take(self, rows: Sequence[int]) -> "SequenceRecords":
        """Select rows."""
        return self._replace(records=[self.records[row] for row in rows])

    def split(self, shares: Sequence[float], seed: int) -> list["SequenceRecords"]:
        """Split at random, stratified by class if the target is one.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        index = {label: number for number, label in enumerate(dict.fromkeys(self.labels if self.classes else ()))}
        groups = torch.tensor([index.get(label, 0) for label in self.labels])
        return [self.take(rows.tolist()) for rows in split_stratified(groups, shares, seed)]


def layout_of(
    columns: Sequence[str],
    target: Sequence[str],
    *,
    id: str | None,
    time: str | None,
    features: Sequence[str] | None,
    channels: Sequence[str] | None,
    exclude: Sequence[str],
    lists: Sequence[str] = (),
    place: str,
) -> SequenceLayout:
    """Return the layout of a table with the given columns.

    Args:
        columns: all columns of the table.
        target, id, time: as in :class:`SequenceLayout`.
        features: the columns of the steps; by default, those with lists, else all that have no other use.
        channels: where each row is a sequence of several channels, the prefixes of the columns of each.
        exclude: columns without use.
        lists: columns with a list of steps, each a channel.
        place: name of the table in error messages.

    Raises:
        ValueError: there is no such column, or no column is left.
    """
    named = [name for name in (*target, id, time, *exclude, *(features or ())) if name is not None]
    for name in named:
        if name not in columns:
            known = ", ".join(map(repr, columns))
            raise ValueError(f"{place} has no column {name!r}{nearest(name, columns)} (it has: {known})")
    used = {*target, id, time, *exclude}
    left = tuple(features) if features is not None else tuple(name for name in lists or columns if name not in used)
    if channels is not None:
        parts = tuple(tuple(name for name in left if name.startswith(prefix)) for prefix in channels)
        if lacking := [prefix for prefix, part in zip(channels, parts, strict=True) if not part]:
            raise ValueError(f"{place} has no column that starts with {lacking[0]!r} (it has: {', '.join(left)})")
        return SequenceLayout(tuple(prefix.rstrip("_. ") for prefix in channels), parts, tuple(target), id, time)
    if not left:
        raise ValueError(f"{place} has no column for the steps beside {', '.join(named)}")
    if id is None and not set(left) & set(lists):
        return SequenceLayout(("value",), (left,), tuple(target))
    return SequenceLayout(left, tuple((name,) for name in left), tuple(target), id, time)


def grouped(rows: Iterable[Record], layout: SequenceLayout) -> Iterator[Record]:
    """Yield one record per value of the id column, in the order of their first rows.

    The columns of the channels become lists, one value per step, ordered by the time column. Other columns keep their
    value if it is the same in all rows, and are left out if not; a target that differs is a :class:`Conflict`. Records
    whose channels are lists, from JSON, are whole sequences and remain as they are.

    A sequence becomes a record with an error if one of its rows cannot be read, or a time is not readable or occurs
    twice; a row without an id is one by itself.
    """
    assert layout.id is not None
    sequences: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        if _is_whole(row, layout):
            yield row
            continue
        key = _key(row, layout.id)
        empty = f"{row.place}: the column {layout.id!r} tells the sequence of a row, and is empty"
        step = row if key or row.error else row._replace(error=empty)
        sequences.setdefault((key, "" if key else row.place), []).append(step)
    for (key, _), steps in sequences.items():
        error, ordered = next((step.error for step in steps if step.error), ""), steps
        try:
            ordered = _ordered(steps, layout.time)
        except ValueError as reason:
            error = error or str(reason)
        yield _sequence(key, ordered, layout)._replace(error=error)


def training_sequences(rows: Sequence[Record], layout: SequenceLayout) -> list[Record]:
    """Return the sequences of a training table, all of which can be read.

    Raises:
        ValueError: no id occurs in two rows, a sequence cannot be read, or a target differs within one; the message has
            the location.
    """
    assert layout.id is not None
    single = [row for row in rows if not _is_whole(row, layout)]
    keys = [_key(row, layout.id) for row in single]
    if len(keys) > 1 and all(keys) and len(set(keys)) == len(keys):
        raise ValueError(
            f"{single[0].place}: no value of {layout.id!r} occurs in two rows, so every sequence would have one step; "
            f"if a row is a sequence, do not give data.id, and leave the column out: data.exclude=[{layout.id}]"
        )
    records = list(readable(grouped(rows, layout)))
    for record in records:
        for name in layout.target:
            if isinstance(target := record.fields.get(name), Conflict):
                raise ValueError(target.reason)
    return records


def _is_whole(row: Record, layout: SequenceLayout) -> bool:
    """Return whether a record is not a step: its channels are lists, or it is a line that is no record."""
    lists = any(isinstance(row.fields.get(column), list) for columns in layout.columns for column in columns)
    return lists or not row.fields


def _key(row: Record, id: str) -> str:
    value = row.fields.get(id)
    return "" if value is None else str(value).strip()


def _sequence(key: str, steps: list[Record], layout: SequenceLayout) -> Record:
    channels = {column for columns in layout.columns for column in columns}
    fields: dict[str, Any] = {}
    for name, first in steps[0].fields.items():
        cells = [step.fields.get(name) for step in steps]
        if name in channels:
            fields[name] = cells
        elif name == layout.time:
            continue
        elif all(cell == first for cell in cells):
            fields[name] = first
        elif name in layout.target:
            other = next(step for step in steps if step.fields.get(name) != first)
            fields[name] = Conflict(
                f"{other.place}: {name} is {other.fields.get(name)!r}, but {first!r} in {steps[0].place}, a row of the "
                f"same sequence ({layout.id} {key!r})"
            )
    return Record(f"{steps[0].place} ({layout.id} {key!r})" if key else steps[0].place, fields)


def _ordered(steps: list[Record], time: str | None) -> list[Record]:
    """Return the rows of a sequence in the order of their times."""
    if time is None:
        return steps
    keys = [_moment(step, time) for step in steps]
    order = sorted(range(len(steps)), key=keys.__getitem__)
    for before, after in pairwise(order):
        if keys[before] == keys[after]:
            raise ValueError(
                f"{steps[after].place}: the same {time} as in {steps[before].place}, a row of the same sequence: "
                f"{steps[after].fields[time]!r}"
            )
    return [steps[row] for row in order]


def _moment(row: Record, time: str) -> float:
    cell = str(row.fields.get(time, "")).strip()
    number = parsed_number(cell)
    if not math.isnan(number):
        return number
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{row.place}, {time}: must be a number or a date like 2024-01-31, got {cell!r}") from None
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def cells_of(record: Mapping[str, Any], columns: Sequence[str], name: str) -> list[Any]:
    """Return the values of a channel over time.

    Raises:
        ValueError: a column is missing.
    """
    for column in columns:
        if column not in record:
            known = ", ".join(map(repr, record)) or "none"
            raise ValueError(f"the column {column!r} of {name} is missing (there are: {known})")
    if len(columns) == 1 and isinstance(record[columns[0]], list):
        return list(record[columns[0]])
    return [record[column] for column in columns]
