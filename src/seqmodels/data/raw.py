"""Raw data as a source reads them, before any preparation: labelled texts, labelled series, documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from seqmodels.data.splitting import split_stratified

Raw = TypeVar("Raw")


class Splits(NamedTuple, Generic[Raw]):
    """The three parts of a data set."""

    train: Raw
    val: Raw
    test: Raw


class LabelledTexts(NamedTuple):
    """Texts with their labels, and where each was read, for errors: ``"train.csv, line 3"``."""

    texts: list[str]
    labels: list[Any]  # of each text its class, a str; or a tuple of any number of labels
    places: list[str]
    columns: tuple[str, ...] = ("text",)  # the fields of a new record that hold its text

    def take(self, rows: Sequence[int] | Tensor) -> "LabelledTexts":
        """Return some of the rows."""
        index = rows.tolist() if isinstance(rows, Tensor) else rows
        return self._replace(
            texts=[self.texts[row] for row in index],
            labels=[self.labels[row] for row in index],
            places=[self.places[row] for row in index],
        )

    def split(self, shares: Sequence[float], seed: int) -> list["LabelledTexts"]:
        """Split at random, stratified by class; rows with several labels are drawn without regard to them.

        Raises:
            ValueError: shares are not positive or do not sum to 1.
        """
        index = {label: number for number, label in enumerate(dict.fromkeys(self.labels))}
        single = all(isinstance(label, str) or len(label) == 1 for label in self.labels)
        groups = torch.tensor([index[label] if single else 0 for label in self.labels])
        return [self.take(rows) for rows in split_stratified(groups, shares, seed)]


class LabelledSeries(NamedTuple):
    """Series of numbers and their targets."""

    series: Tensor | list[Tensor]  # (rows, time, channels), or of each row (time_i, channels)
    labels: Tensor | list[Tensor]  # (rows,) classes, (rows, output) values; a list: one for each step
    class_names: tuple[str, ...] = ()  # by class; empty where labels are no classes
    lengths: Tensor | None = None  # (rows,) real steps, where series are padded

    def take(self, rows: Sequence[int] | Tensor) -> "LabelledSeries":
        """Return some of the rows."""
        index = torch.as_tensor(rows)
        series, labels = (
            part[index] if isinstance(part, Tensor) else [part[row] for row in index.tolist()]
            for part in (self.series, self.labels)
        )
        return self._replace(
            series=series, labels=labels, lengths=None if self.lengths is None else self.lengths[index]
        )


class Documents:
    """The documents of a split, read again on every iteration, so that they need not fit into memory.

    Args:
        read: yields the documents, each as an iterator of its lines.
        name: what errors call their source.
        origin: everything that determines the texts, as plain JSON: options, and ``files``, each with its size and time
            of change. Tokens are cached under it; without it they are not cached.
        vocabulary_documents: learn a vocabulary from at most this many documents, the first ones.

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
    ) -> None:
        self.read = read
        self.name = name
        self.origin = origin
        self.vocabulary_documents = vocabulary_documents

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Documents":
        """Return documents that are in memory."""
        held = list(texts)
        return cls(lambda: (iter([text]) for text in held))

    def __iter__(self) -> Iterator[str]:
        return ("".join(lines) for lines in self.read())

    def __repr__(self) -> str:
        return f"Documents(name={self.name!r})"
