"""What the data modules of labelled texts share: a vocabulary learnt from training texts, and tokens by it."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.module import SequenceDataModule
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.splits import stratified_split
from seqmodels.data.token_preprocessing import TokenPreprocessing
from seqmodels.data.vocabulary import Vocabulary
from seqmodels.data.vocabulary_learning import VocabularyLearner

Empty = Literal["error", "drop"]
log = logging.getLogger("seqmodels")


class LabelledTexts(NamedTuple):
    """Texts with their labels, and where each stands, for errors: ``"train.csv, line 3"``."""

    texts: list[str]
    labels: list[tuple[str, ...]]  # one each in classification
    places: list[str]

    def take(self, rows: Tensor) -> "LabelledTexts":
        """Return some of the rows."""
        return LabelledTexts(*([column[row] for row in rows.tolist()] for column in self))


class TextCounts(NamedTuple):
    """What became of the texts of a split."""

    rows: int
    tokens: int
    unknown: int  # tokens that the vocabulary does not have
    cut: int  # texts longer than max_length
    dropped: int  # texts without a token

    def __str__(self) -> str:
        share = 100 * self.unknown / max(self.tokens, 1)
        parts = f"{self.rows} texts, {self.tokens} tokens, {share:.2f} % unknown, {self.cut} texts cut at max_length"
        return parts + (f", {self.dropped} empty ones left out" if self.dropped else "")


class LabelledTextData(SequenceDataModule):
    """Texts with a class each; or with labels, where a subclass says so by its ``target_kind``.

    A subclass reads the texts, in :meth:`read`, and calls :meth:`read_by` in its constructor. After :meth:`setup`,
    ``vocabulary`` is that of the train split and ``counts`` has what became of each split's texts.
    """

    target_kind: ClassVar[TargetKind] = "classification"
    vocabulary: Vocabulary
    counts: dict[str, TextCounts]
    field: str | Sequence[str] = "text"
    """What new files call the text."""

    def read_by(self, vocabulary: VocabularyLearner, max_length: int | None, *, empty: Empty = "error") -> None:
        """Note how texts become tokens.

        Args:
            vocabulary: learns it from the train split.
            max_length: most tokens of a text; what follows is left out, and counted. All where None.
            empty: whether a text without a token is an error, by its place, or left out and counted.
        """
        if max_length is not None and max_length < 1:
            raise ValueError(f"max_length must be at least 1 token, got {max_length}")
        if empty not in get_args(Empty):
            raise ValueError(f"empty must be one of {', '.join(get_args(Empty))}, got {empty!r}")
        self.learner = vocabulary
        self.max_length = max_length
        self.empty = empty
        self._names: tuple[str, ...] = ()

    @abstractmethod
    def read(self) -> Mapping[str, LabelledTexts]:
        """Return the texts of ``train``, ``val`` and ``test``."""

    @property
    def sizes(self) -> dict[str, Any]:
        return {"vocab_size": len(self.vocabulary), "output_size": len(self._names)}

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._names

    @property
    def preprocessing(self) -> dict[str, Any]:
        return TokenPreprocessing(vocabulary=self.vocabulary, field=self.field, max_length=self.max_length).node

    def splits(self) -> Mapping[str, RaggedDataset]:
        """Read the texts, learn vocabulary and names of the labels from the train split, and tell what was counted.

        Raises:
            ValueError: a text has no token, or a label outside the train split does not occur in it; by its place.
        """
        parts = self.read()
        if not parts["train"].texts:
            raise ValueError("the train split is empty")
        self.vocabulary = self.learner.learn(parts["train"].texts)
        self._names = _names(parts["train"].labels)
        self.counts = {}
        return {name: self._tokens(name, part) for name, part in parts.items()}

    def _tokens(self, name: str, part: LabelledTexts) -> RaggedDataset:
        encoded = [self.vocabulary.encode(text) for text in part.texts]
        kept = [row for row, tokens in enumerate(encoded) if tokens]
        if len(kept) < len(encoded) and self.empty == "error":
            row = next(row for row, tokens in enumerate(encoded) if not tokens)
            raise ValueError(f"{part.places[row]}: the text {part.texts[row]!r} has no token to read")
        targets = self._targets(part.take(torch.tensor(kept)))
        limit, unknown = self.max_length, self.vocabulary.unknown
        tokens = [torch.tensor(encoded[row][:limit]) for row in kept]
        self.counts[name] = TextCounts(
            rows=len(kept),
            tokens=sum(map(len, encoded)),
            unknown=sum(row.count(unknown) for row in encoded) if unknown is not None else 0,
            cut=sum(len(row) > limit for row in encoded) if limit is not None else 0,
            dropped=len(encoded) - len(kept),
        )
        log.info("%s: %s", name, self.counts[name])
        return RaggedDataset(tokens, targets)

    def _targets(self, part: LabelledTexts) -> Tensor:
        index = {name: number for number, name in enumerate(self._names)}
        for labels, place in zip(part.labels, part.places, strict=True):
            if strange := [label for label in labels if label not in index]:
                known = ", ".join(self._names[:20]) + (", ..." if len(self._names) > 20 else "")
                raise ValueError(
                    f"{place}: the label {strange[0]!r} does not occur in the train split (there: {known})"
                )
        if self.target_kind == "classification":
            return torch.tensor([index[labels[0]] for labels in part.labels], dtype=torch.long)
        targets = torch.zeros(len(part.labels), len(index))
        for row, labels in enumerate(part.labels):
            targets[row, [index[label] for label in labels]] = 1
        return targets


def parted(part: LabelledTexts, shares: Sequence[float], seed: int) -> list[LabelledTexts]:
    """Part texts at random, each single label with the same share in every part, rows with several ones as they come.

    Raises:
        ValueError: shares are not positive or do not sum to 1.
    """
    single = all(len(labels) == 1 for labels in part.labels)
    index = {labels: number for number, labels in enumerate(dict.fromkeys(part.labels))} if single else {}
    groups = torch.tensor([index.get(labels, 0) for labels in part.labels])
    return [part.take(rows) for rows in stratified_split(groups, shares, seed)]


def _names(labels: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return all labels in order; in that of their numbers where they are whole numbers."""
    names = {label for row in labels for label in row}
    numbers = all(len(name) < 20 and name.isascii() and name.removeprefix("-").isdigit() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))
