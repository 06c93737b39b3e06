"""Raw data from a source, before any preparation: labelled texts, labelled series, documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.text_files import DocumentFormat
from seqmodels.data.splitting import split_stratified

Raw = TypeVar("Raw")
Other = TypeVar("Other")


class Splits(NamedTuple, Generic[Raw]):
    """The splits of a data set."""

    train: Raw
    val: Raw
    test: Raw | None = None
    """None: there are no data to test with."""

    def map(self, function: "Callable[[Raw], Other]") -> "Splits[Other]":
        """Return the splits with a function applied to each that there is.

        Example:
            >>> Splits([1, 2], [3]).map(len)
            Splits(train=2, val=1, test=None)
        """
        return Splits(function(self.train), function(self.val), None if self.test is None else function(self.test))


class LabelledTexts(NamedTuple):
    """Texts with their labels, and their locations for error messages: ``"train.csv, line 3"``."""

    texts: list[str]
    labels: list[Any]  # one per text: its class, a str; or a tuple of any number of labels
    places: list[str]
    columns: tuple[str, ...] = ("text",)  # the text fields of a new record
    dialect: CSVDialect | None = None  # how the table was read, settled; None if the texts are not from a table
    label: str = "label"  # its field of the label or labels
    separator: str | None = None  # of its labels, if it may have several
    numbers: bool = False  # whether labels are numbers to predict

    def take(self, rows: Sequence[int] | Tensor) -> "LabelledTexts":
        """Select rows."""
        index = rows.tolist() if isinstance(rows, Tensor) else rows
        return self._replace(
            texts=[self.texts[row] for row in index],
            labels=[self.labels[row] for row in index],
            places=[self.places[row] for row in index],
        )

    def split(self, shares: Sequence[float], seed: int) -> list["LabelledTexts"]:
        """Split at random, stratified by class; rows with numbers or several labels are split without stratification.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        index = {label: number for number, label in enumerate(dict.fromkeys(self.labels))}
        single = not self.numbers and all(isinstance(label, str) or len(label) == 1 for label in self.labels)
        groups = torch.tensor([index[label] if single else 0 for label in self.labels])
        return [self.take(rows) for rows in split_stratified(groups, shares, seed)]


class LabelledSeries(NamedTuple):
    """Numeric series and their targets."""

    series: Tensor | list[Tensor]  # (rows, time, channels), or per row (time_i, channels)
    labels: Tensor | list[Tensor]  # (rows,) classes, (rows, output) values; a list: one per step
    class_names: tuple[str, ...] = ()  # by class; empty if labels are not classes
    lengths: Tensor | None = None  # (rows,) number of real steps, if series are padded
    target_names: tuple[str, ...] = ()  # of the output values, if they have a unit and so are scaled for training

    def take(self, rows: Sequence[int] | Tensor) -> "LabelledSeries":
        """Select rows."""
        index = torch.as_tensor(rows)
        series, labels = (
            part[index] if isinstance(part, Tensor) else [part[row] for row in index.tolist()]
            for part in (self.series, self.labels)
        )
        return self._replace(
            series=series, labels=labels, lengths=None if self.lengths is None else self.lengths[index]
        )

    def split(self, shares: Sequence[float], seed: int) -> list["LabelledSeries"]:
        """Split at random, stratified by class if labels are classes.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        assert isinstance(self.labels, Tensor)
        groups = self.labels if self.class_names else torch.zeros(len(self.labels))
        return [self.take(rows) for rows in split_stratified(groups, shares, seed)]


class Documents:
    """The documents of a split, re-read on every iteration, so that they need not fit in memory.

    Args:
        read: yields the documents, each as an iterator of lines.
        name: name of the source in error messages.
        origin: everything that determines the texts, as plain JSON: options, and ``files`` with size and modification
            time. It is the cache key of the tokens; without it they are not cached.
        vocabulary_documents: learn a vocabulary from at most this many of the first documents.
        form: how new files hold documents; by default, each file is one.

    Example:
        >>> list(Documents.of(["one two", "three"]))
        ['one two', 'three']
    """

    def __init__(
        self,
        read: Callable[[], Iterator[Iterator[str]]],
        name: str = "text",
        origin: Mapping[str, Any] | None = None,
        vocabulary_documents: int | None = None,
        form: DocumentFormat = DocumentFormat(),  # noqa: B008  (immutable)
    ) -> None:
        self.read = read
        self.name = name
        self.origin = origin
        self.vocabulary_documents = vocabulary_documents
        self.form = form

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Documents":
        """Wrap in-memory documents."""
        held = list(texts)
        return cls(lambda: (iter([text]) for text in held))

    def __iter__(self) -> Iterator[str]:
        return ("".join(lines) for lines in self.read())

    def __repr__(self) -> str:
        return f"Documents(name={self.name!r})"
