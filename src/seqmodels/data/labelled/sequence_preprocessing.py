"""Preprocessing of sequences in tables: numbers standardised, words as 0/1 inputs, like the training data."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.archives.cases import Missing, fill
from seqmodels.data.formats.columns import is_missing
from seqmodels.data.formats.gaps import Numbers
from seqmodels.data.formats.numbers import parsed_number
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.sequence_table import SequenceLayout, cells_of, grouped
from seqmodels.data.labelled.targets import TargetFields
from seqmodels.data.preprocessing import Example, is_array, listed
from seqmodels.data.series.scaling import Scaling
from seqmodels.errors import shortened

log = logging.getLogger("seqmodels")
SHOWN = 5  # words in a log line


@dataclass(kw_only=True)
class SequencePreprocessing(LabelledPreprocessing):
    """A row of a table, or all rows with the same id, as a sequence of steps.

    A channel of numbers is standardised; a channel of words has one 0/1 input for each word of the training data, and
    other words are all 0, which is logged. Where each row is a sequence, empty cells at its end shorten it. In JSON, a
    field with a list has one value per step.

    Args:
        names: the channels.
        columns: per channel, one column with a row or list value per step, or one column for each step.
        words: per channel, its words in the training data; empty for numbers.
        mean, deviation: per channel, of the training data; 0 and 1 for words.
        id, time: columns with the sequence of a row, and the order of its rows.
        missing: as in :func:`~seqmodels.data.formats.archives.cases.parse_cases`; a missing word is then all 0.
        dialect: how the training table was written, the fields of a ``CSVDialect``.
        target: columns of the class, or of the target numbers.
        target_mean, target_deviation: of target numbers in the training data; empty if the target is a class.

    Example:
        >>> fitted = SequencePreprocessing(
        ...     names=["load", "state"], columns=[["load"], ["state"]], words=[[], ["off", "on"]],
        ...     mean=[2.0, 0.0], deviation=[0.5, 1.0], target=["label"],
        ... )
        >>> fitted.encode({"load": [1, 3], "state": ["on", "off"]}).tolist()
        [[-2.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
    """

    names: Sequence[str]
    columns: Sequence[Sequence[str]]
    words: Sequence[Sequence[str]]
    mean: Sequence[float]
    deviation: Sequence[float]
    target: Sequence[str]
    target_mean: Sequence[float] = ()
    target_deviation: Sequence[float] = ()
    id: str | None = None
    time: str | None = None
    missing: Missing = "error"
    dialect: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {len(part) for part in (self.names, self.columns, self.words, self.mean, self.deviation)}
        if len(sizes) != 1 or not all(value > 0 for value in self.deviation):
            raise ValueError("columns, words, mean and a positive deviation must be given for each of names")
        self._decimal = CSVDialect(**self.dialect).decimal
        self.scaling = Scaling.of(self.mean, self.deviation)
        self.targets = TargetFields.of(self.target, self.target_mean, self.target_deviation)
        self.layout = SequenceLayout(
            tuple(self.names), tuple(map(tuple, self.columns)), tuple(self.target), self.id, self.time
        )
        self._index = [{word: number for number, word in enumerate(words)} for words in self.words]

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        return self.of_rows(super().read(path, format))

    def of_rows(self, rows: Iterator[Record]) -> Iterator[Record]:
        """Yield the sequences of the rows of a table: each row, or all rows with the same id."""
        return rows if self.id is None else grouped(rows, self.layout)

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for an array ``(time, channels)``, or ``(time,)`` if there is one channel.

        Raises:
            ValueError: it has another number of channels.
        """
        if not is_array(value):
            return super().fields_of(value)
        steps = [step if isinstance(step, list) else [step] for step in listed(value)]
        for number, step in enumerate(steps, start=1):
            if len(step) != len(self.names):
                raise ValueError(f"step {number} must have {len(self.names)} channels, got {len(step)}")
        channels: list[list[Any]] = list(map(list, zip(*steps, strict=True)))
        if all(len(columns) == 1 for columns in self.columns):
            return {columns[0]: cells for columns, cells in zip(self.columns, channels, strict=True)}
        return {
            column: cell
            for columns, cells in zip(self.columns, channels, strict=True)
            for column, cell in zip_longest(columns, cells[: len(columns)], fillvalue="")
        }

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the sequence of a record, ``(time, inputs)``."""
        return self.encoded(self.values(record))

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict; unknown words are logged at the end."""
        unknown = [Counter[str]() for _ in self.names]
        for record in records:
            for example in super().examples([record]):
                if example.value is not None and any(self._index):
                    self._count(record.fields, unknown)
                yield example
        for name, counts in zip(self.names, unknown, strict=True):
            if counts:
                some = shortened(list(map(repr, counts)), SHOWN)
                log.warning("%s: %d words do not occur in training and are left out: %s", name, counts.total(), some)

    def scaled(self, series: Tensor) -> Tensor:
        """Return ``(time, inputs)`` of :meth:`values`, as float32."""
        numbers = self.scaling.apply(series)
        inputs = []
        for channel, words in enumerate(self.words):
            values = numbers[:, channel : channel + 1] if not words else series[:, channel : channel + 1]
            inputs.append((values == torch.arange(len(words))).double() if words else values)
        return torch.cat(inputs, 1).float()

    def values(self, record: Mapping[str, Any]) -> Tensor:
        """Return the channels of a record, float64 ``(time, channels)``: numbers, and words as their index, or -1.

        Raises:
            ValueError: a column or value is missing, a value is not a number, or channels differ in length.
        """
        cells = self._cells(record)
        columns = [self._channel(channel, values) for channel, values in enumerate(cells)]
        return torch.from_numpy(np.stack(columns, 1))

    def _cells(self, record: Mapping[str, Any]) -> list[list[Any]]:
        cells = [cells_of(record, columns, name) for columns, name in zip(self.columns, self.names, strict=True)]
        lengths = [len(values) for values in cells]
        if len(set(lengths)) > 1:
            found = ", ".join(f"{name} {length}" for name, length in zip(self.names, lengths, strict=True))
            raise ValueError(f"channels must have as many steps as each other, got {found}")
        steps = lengths[0]
        if not any(isinstance(record[columns[0]], list) for columns in self.columns):  # a row is as long as the table
            while steps and all(values[steps - 1] is None or not str(values[steps - 1]).strip() for values in cells):
                steps -= 1
        if not steps:
            raise ValueError("there is no step")
        return [values[:steps] for values in cells]

    def _channel(self, channel: int, values: list[Any]) -> Numbers:
        name, index = self.names[channel], self._index[channel]
        texts = ["" if value is None else str(value).strip() for value in values]
        if index:
            for step, text in enumerate(texts, start=1):
                if self.missing == "error" and is_missing(text):
                    raise ValueError(
                        f"{name}: value {step} is missing; training with data.missing=interpolate reads it as no word"
                    )
            return np.array([float(index.get(text, -1)) for text in texts])
        numbers = np.array([number_of(text, self._decimal) for text in texts])
        for step in (~np.isfinite(numbers)).nonzero()[0].tolist():
            if not is_missing(texts[step]):
                raise ValueError(f"{name}, step {step + 1}: must be a finite number, got {texts[step]!r}")
        return fill(numbers, name, self.missing)

    def _count(self, record: Mapping[str, Any], unknown: list[Counter[str]]) -> None:
        for counts, index, cells in zip(unknown, self._index, self._cells(record), strict=True):
            if index:
                texts = [str(cell).strip() for cell in cells]
                counts.update(text for text in texts if text not in index and not is_missing(text))


def number_of(text: str, decimal: str) -> float:
    """Return the number in a cell; NaN if it is none or missing."""
    return math.nan if is_missing(text) else parsed_number(text, decimal)
