"""Preprocessing of data into network inputs, as fitted on the training data."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.collate import pad
from seqmodels.data.formats.files import opened, shown_name
from seqmodels.data.formats.records import Record, read_records
from seqmodels.data.formats.suffixes import format_of, suffix_of
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.text_files import FileFields
from seqmodels.data.loaders import Split
from seqmodels.system.names import public_name


class Example(NamedTuple):
    """What the network reads of a record, or why it cannot be read."""

    place: str
    """Location of the record, such as ``"new.csv, line 3"``."""
    value: Any | None
    """A sequence or window, without batch dimension; None if the record cannot be read."""
    error: str = ""
    """Why it cannot be read."""
    fields: Mapping[str, Any] = {}
    """Columns of the record, which an output file can carry over."""


def without_clashes(fields: Mapping[str, Any], output: Collection[str]) -> dict[str, Any]:
    """Return fields of the input to write beside an output; one whose name the output needs is called ``input.NAME``.

    Example:
        >>> without_clashes({"series": "a", "shop": "b"}, {"series", "step"})
        {'input.series': 'a', 'shop': 'b'}
    """
    return {f"input.{name}" if name in output else name: value for name, value in fields.items()}


class Preprocessing(ABC):
    """Turns records into sequences, with everything that was fitted in training.

    A data module describes it by a plain node, ``{"_target_": ..., ...}`` with JSON values, which is saved in
    checkpoints and model folders. Training, evaluation and prediction use the same preprocessing, so that new data are
    read, scaled and encoded like the training data.
    """

    dialect: Mapping[str, Any] = MappingProxyType({})
    """How the training file was written, the fields of a ``CSVDialect``; new files are read in the same way."""

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds it, as plain JSON: its class and its fields."""
        assert is_dataclass(self)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: getattr(value, "node", value) for name, value in values.items()}
        return {"_target_": public_name(type(self)), **json.loads(json.dumps(plain))}

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        """Yield the records of a file lazily; ``-`` reads standard input.

        Args:
            path: path of the file.
            format: format of the file; by default, its suffix tells. A file with the suffix of the training file is
                delimited like it.

        Raises:
            ValueError: the file cannot be read or is not in its format; the message names file and line.
        """
        dialect = CSVDialect(**self.dialect)
        is_table = format is None and dialect.suffix == suffix_of(path)
        kind = "csv" if is_table else format_of(path, format)
        with opened(path) as source:
            yield from read_records(source, shown_name(path), kind, dialect)

    def of_rows(self, rows: Iterator[Record]) -> Iterator[Record]:
        """Yield the records of the rows of a table; by default, each row is one."""
        return rows

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for a value in Python: a record itself, or a text.

        Raises:
            TypeError: the model reads no such values.
        """
        if isinstance(value, Mapping):
            return value
        if isinstance(value, str):
            return {"text": value}
        raise TypeError(f"the model reads texts, or records as dicts, got {type(value).__name__}")

    @abstractmethod
    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the sequence of a record, ``(time, input)`` floats or ``(time,)`` tokens.

        ``record`` holds the columns of a CSV row as strings, the fields of a JSON line, or ``{"text": line}``.

        Raises:
            ValueError: a field is missing or invalid; the message names it and its value.
        """

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict, in order; by default, one per record, lazily.

        A record that cannot be read yields an example without a value.
        """
        for place, record, error in records:
            kept = self.carried(record)
            if error:
                yield Example(place, None, error, kept)
                continue
            try:
                yield Example(place, self.encode(record), fields=kept)
            except ValueError as reason:
                message = str(reason)  # names the recording itself, where that is the record
                yield Example(place, None, message if message.startswith(place) else f"{place}: {message}", kept)

    def carried(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields of a record that an output file can carry over: of a whole text file all but its text."""
        if not isinstance(fields, FileFields):
            return fields
        return {name: value for name, value in fields.items() if name != "text"}

    def collate(self, values: Sequence[Any]) -> Any:
        """Collate the values of examples into a batch with unknown targets."""
        inputs, lengths = pad(values)
        return SequenceBatch(inputs, lengths, torch.full((len(lengths),), -1))

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> Split[Any]:  # noqa: ARG002
        """Return records with their targets, prepared as the splits of the training data were.

        Args:
            records: records that contain the targets.
            class_names: classes of the training data by index; empty if targets are not classes.

        Raises:
            ValueError: a record cannot be read or has no target, or a class does not occur in ``class_names``.
        """
        raise ValueError(f"{type(self).__name__} cannot read targets from a file: test on the data of the run")


def is_array(value: Any) -> bool:
    """Return whether a value is an array, a tensor or a list."""
    return isinstance(value, list | tuple | Tensor) or hasattr(value, "__array__")


def listed(value: Any) -> Any:
    """Return an array or tensor as nested lists.

    Example:
        >>> listed(torch.zeros(1, 2)), listed([torch.ones(2)])
        ([[0.0, 0.0]], [[1.0, 1.0]])
    """
    if isinstance(value, list | tuple):
        return [listed(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value
