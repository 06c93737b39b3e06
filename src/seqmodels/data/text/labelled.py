"""Labelled texts as tokens, with a vocabulary learnt from training texts, and numeric classes or labels."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.text.token_preprocessing import TokenPreprocessing
from seqmodels.data.text.vocabulary import Vocabulary
from seqmodels.data.text.vocabulary_learning import VocabularyLearner

Empty = Literal["error", "drop"]
log = logging.getLogger("seqmodels")


class TextCounts(NamedTuple):
    """Statistics of the texts in a split."""

    rows: int
    tokens: int
    unknown: int  # out-of-vocabulary tokens
    cut: int  # texts longer than max_length
    dropped: int  # texts without tokens

    def __str__(self) -> str:
        share = 100 * self.unknown / max(self.tokens, 1)
        parts = f"{self.rows} texts, {self.tokens} tokens, {share:.2f} % unknown, {self.cut} texts cut at max_length"
        return parts + (f", {self.dropped} empty ones left out" if self.dropped else "")


@dataclass(kw_only=True)
class TextPreparation(Preparation):
    """Labelled texts tokenised with a vocabulary of the train split; statistics are logged and kept in ``counts``.

    Args:
        vocabulary: learns it from the train split.
        max_length: maximum number of tokens per text; longer texts are truncated and counted. No limit if None.
        empty: whether a text without tokens is an error (``error``) or dropped and counted (``drop``).
    """

    vocabulary: VocabularyLearner
    max_length: int | None = None
    empty: Empty = "error"

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be at least 1 token, got {self.max_length}")
        if self.empty not in get_args(Empty):
            raise ValueError(f"empty must be one of {', '.join(get_args(Empty))}, got {self.empty!r}")

    def prepare(self, splits: Splits[LabelledTexts]) -> Prepared:
        train = splits.train
        if not train.texts:
            raise ValueError("the train split is empty")
        vocabulary = self.vocabulary.learn(train.texts)
        names = _label_names(train.labels)
        datasets, counts = {}, {}
        for name, part in splits._asdict().items():
            datasets[name], counts[name] = self._tokens(part, vocabulary, names)
            log.info("%s: %s", name, counts[name])
        node = TokenPreprocessing(vocabulary=vocabulary, field=train.columns, max_length=self.max_length).node
        sizes = {"vocab_size": len(vocabulary), "output_size": len(names)}
        return Prepared(Splits(**datasets), sizes, node, names, counts)

    def _tokens(
        self, part: LabelledTexts, vocabulary: Vocabulary, names: tuple[str, ...]
    ) -> tuple[RaggedDataset, TextCounts]:
        encoded = [vocabulary.encode(text) for text in part.texts]
        kept = [row for row, tokens in enumerate(encoded) if tokens]
        if len(kept) < len(encoded) and self.empty == "error":
            row = next(row for row, tokens in enumerate(encoded) if not tokens)
            raise ValueError(f"{part.places[row]}: the text {part.texts[row]!r} has no token to read")
        limit, unknown = self.max_length, vocabulary.unknown
        counts = TextCounts(
            rows=len(kept),
            tokens=sum(map(len, encoded)),
            unknown=sum(row.count(unknown) for row in encoded) if unknown is not None else 0,
            cut=sum(len(row) > limit for row in encoded) if limit is not None else 0,
            dropped=len(encoded) - len(kept),
        )
        targets = _targets(part.take(kept), names)
        return RaggedDataset([torch.tensor(encoded[row][:limit]) for row in kept], targets), counts


def _targets(part: LabelledTexts, names: tuple[str, ...]) -> Tensor:
    """Return the class of each text, or 0/1 per label."""
    index = {name: number for number, name in enumerate(names)}
    rows = [_labels_of(label) for label in part.labels]
    for labels, place in zip(rows, part.places, strict=True):
        if strange := [label for label in labels if label not in index]:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise ValueError(f"{place}: the label {strange[0]!r} does not occur in the train split (there: {known})")
    if all(isinstance(label, str) for label in part.labels):
        return torch.tensor([index[label] for label in part.labels], dtype=torch.long)
    targets = torch.zeros(len(rows), len(index))
    for row, labels in enumerate(rows):
        targets[row, [index[label] for label in labels]] = 1
    return targets


def _labels_of(label: str | tuple[str, ...]) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label


def _label_names(labels: Iterable[Any]) -> tuple[str, ...]:
    """Return all labels, sorted; numerically if they are integers."""
    names = {label for row in labels for label in _labels_of(row)}
    numbers = all(len(name) < 20 and name.isascii() and name.removeprefix("-").isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))
