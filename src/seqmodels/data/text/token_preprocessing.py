"""Tokenisation of labelled texts, as fitted on the train split."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqmodels.data.formats.folders import text_records
from seqmodels.data.formats.records import Record, readable
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.labelled.targets import TargetFields, class_targets
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.text.labelled_table import labels_of
from seqmodels.data.text.vocabulary import Vocabulary

Empty = Literal["error", "drop"]
log = logging.getLogger("seqmodels")


class TextCounts(NamedTuple):
    """Statistics of the texts in a split."""

    rows: int
    tokens: int
    unknown: int  # out-of-vocabulary tokens
    cut: int  # texts longer than max_length
    dropped: int  # texts without tokens
    absent: int = 0  # classes or labels that no text has

    def __str__(self) -> str:
        share = 100 * self.unknown / max(self.tokens, 1)
        parts = f"{self.rows} texts, {self.tokens} tokens, {share:.2f} % unknown, {self.cut} texts cut at max_length"
        parts += f", {self.dropped} empty ones left out" if self.dropped else ""
        return parts + (f", no text of {self.absent} labels" if self.absent else "")


@dataclass(kw_only=True, eq=False)
class TokenPreprocessing(Preprocessing):
    """Tokenises texts with a vocabulary, and numbers their labels.

    Args:
        vocabulary: vocabulary of the training data.
        field: text field of a record, or several to be joined with a space; of a plain line, and of JSON
            lines if the training table had no header, ``text`` is read.
        max_length: maximum number of tokens; longer texts are truncated. No limit if None.
        label: field of the label or labels.
        separator: separates the labels of a record, which may have none; if None, each record has exactly one.
        empty: whether a text without tokens in the training data is an error (``error``) or dropped and counted
            (``drop``). In new files, it has no prediction, and is dropped and counted among labelled texts.
        dialect: how the training table was written, the fields of a ``CSVDialect``; new files are read in the same way.
        target_mean, target_deviation: of the number to predict, if the label is one, from the training data.
    """

    vocabulary: Vocabulary
    field: str | Sequence[str] = "text"
    max_length: int | None = None
    label: str = "label"
    separator: str | None = None
    empty: Empty = "error"
    dialect: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target_mean: Sequence[float] = ()
    target_deviation: Sequence[float] = ()

    def __post_init__(self) -> None:
        check_options(self.max_length, self.empty)
        self.targets = TargetFields.of([self.label], self.target_mean, self.target_deviation)

    @property
    def fields(self) -> list[str]:
        return [self.field] if isinstance(self.field, str) else list(self.field)

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        """Yield the records of a file, or the text files of a folder with the subfolder of each as its label."""
        if Path(path).is_dir():
            return text_records(Path(path), self.label, CSVDialect(**self.dialect).encoding)
        return super().read(path, format)

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        text = self._text(record)
        tokens = self.vocabulary.encode(text)[: self.max_length]
        if not tokens:
            raise ValueError(f"{', '.join(self._read_fields(record))}: there is no token to read, got {text!r}")
        return torch.tensor(tokens)

    def _read_fields(self, record: Mapping[str, Any]) -> list[str]:
        plain = set(record) == {"text"} or ("text" in record and self.dialect.get("header") is False)
        return ["text"] if plain else self.fields

    def _text(self, record: Mapping[str, Any]) -> str:
        return " ".join(_text(record, field) for field in self._read_fields(record))

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> RaggedDataset:
        found = LabelledTexts([], [], [], separator=self.separator)
        for place, fields, _ in readable(records):
            try:
                found.texts.append(self._text(fields))
                found.labels.append(self._labels(fields))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
            found.places.append(place)
        if found.texts and not any(map(self.vocabulary.encode, found.texts)):
            raise ValueError(f"{found.places[0]}: no text has a token to read")
        dataset, counts = dataclasses.replace(self, empty="drop").dataset(found, class_names)
        log.info("input: %s", counts)
        return dataset

    def dataset(self, part: LabelledTexts, class_names: Sequence[str]) -> tuple[RaggedDataset, TextCounts]:
        """Return texts as a split, and their statistics.

        Raises:
            ValueError: a text has no tokens and is not to be dropped, or a label is not in ``class_names``.
        """
        encoded = [self.vocabulary.encode(text) for text in part.texts]
        kept = [row for row, tokens in enumerate(encoded) if tokens]
        if len(kept) < len(encoded) and self.empty == "error":
            row = next(row for row, tokens in enumerate(encoded) if not tokens)
            raise ValueError(
                f"{part.places[row]}: the text {part.texts[row]!r} has no token to read; "
                "data.empty=drop leaves such texts out"
            )
        limit, unknown = self.max_length, self.vocabulary.unknown
        targets = label_targets(part.take(kept), class_names) if class_names else self._numbers(part.take(kept))
        counts = TextCounts(
            rows=len(kept),
            tokens=sum(map(len, encoded)),
            unknown=sum(row.count(unknown) for row in encoded) if unknown is not None else 0,
            cut=sum(len(row) > limit for row in encoded) if limit is not None else 0,
            dropped=len(encoded) - len(kept),
            absent=_absent(targets, class_names),
        )
        return RaggedDataset([torch.tensor(encoded[row][:limit]) for row in kept], targets), counts

    def _numbers(self, part: LabelledTexts) -> Tensor:
        """Return the numbers to predict, standardised, float32 ``(rows, 1)``."""
        return self.targets.scaled([[label] for label in part.labels], part.places)

    def _labels(self, record: Mapping[str, Any]) -> str | tuple[str, ...]:
        """Return the label or labels of a record.

        Raises:
            ValueError: there is none, or it is neither a text nor a whole number, nor with a separator a list of texts.
        """
        value = record.get(self.label)
        kinds = int | float if self.target_mean else int
        if isinstance(value, kinds) and not isinstance(value, bool):
            value = str(value)
        if self.separator is not None and isinstance(value, list) and all(isinstance(label, str) for label in value):
            return tuple(dict.fromkeys(value))
        if not isinstance(value, str):
            got = f"got {value!r}" if self.label in record else f"the record has {', '.join(map(repr, record))}"
            raise ValueError(f"there is no label under {self.label!r}, {got}")
        return labels_of(value, self.separator, f"column {self.label!r}")


def check_options(max_length: int | None, empty: str) -> None:
    """Raise ``ValueError`` for an option of a tokenisation that is out of range."""
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length must be at least 1 token, got {max_length}")
    if empty not in get_args(Empty):
        raise ValueError(f"empty must be one of {', '.join(get_args(Empty))}, got {empty!r}")


def label_targets(part: LabelledTexts, names: Sequence[str]) -> Tensor:
    """Return the class of each text, ``(rows,)``, or 0/1 per label, ``(rows, labels)``.

    Raises:
        ValueError: labels are not among ``names``; the message has all of them with their locations.
    """
    if part.separator is None:
        return class_targets(part.labels, part.places, names)
    counts = [len(labels) for labels in part.labels]
    rows = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    places = (part.places[row] for row in rows.tolist())
    targets = torch.zeros(len(counts), len(names))
    targets[rows, class_targets(chain.from_iterable(part.labels), places, names)] = 1
    return targets


def _absent(targets: Tensor, class_names: Sequence[str]) -> int:
    """Return how many classes or labels no row has."""
    if not class_names:
        return 0
    return len(class_names) - len(targets.unique()) if targets.dim() == 1 else int((targets.sum(0) == 0).sum())


def _text(record: Mapping[str, Any], field: str) -> str:
    text = record.get(field)
    if not isinstance(text, str):
        got = f"got {text!r}" if field in record else f"the record has {', '.join(map(repr, record)) or 'nothing'}"
        raise ValueError(f"{field!r} must be a text, {got}")
    return text
