"""Sentences as numbers of words and characters, as fitted on the train split."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

from seqmodels.data.formats.records import Record
from seqmodels.data.formats.suffixes import suffix_of
from seqmodels.data.formats.tagged.layout import SUFFIXES, TagFormat, TagLayout
from seqmodels.data.labelled.targets import class_targets
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.tagging.batch import TagBatch, TagDataset
from seqmodels.data.tagging.sentences import TaggedSentences, tokens_of
from seqmodels.data.text.vocabulary import (
    CharacterVocabulary,
    Splitting,
    WordVocabulary,
    check_splitting,
    split_words,
)

LETTERS = 50
"""Characters of a word that are read, half of them at its end: a web address must not make a batch as wide as it is."""

log = logging.getLogger("seqmodels")


class SentenceCounts(NamedTuple):
    """Statistics of the sentences of a split."""

    sentences: int
    tokens: int
    unknown: int  # tokens that are not in the vocabulary

    def __str__(self) -> str:
        share = 100 * self.unknown / max(self.tokens, 1)
        return f"{self.sentences} sentences, {self.tokens} tokens, {share:.2f} % unknown"


def joined(form: str) -> str:
    """Return a word without spaces, as a vocabulary separates words by them; many words of Vietnamese have some.

    Example:
        >>> joined("10 000")
        '10_000'
    """
    return "_".join(form.split())


@dataclass(kw_only=True, eq=False)
class TagPreprocessing(Preprocessing):
    """Turns sentences into words and their characters.

    Records have a list ``tokens``, or a ``text`` that is split into words. Read are files of the formats of
    :class:`TagLayout`, as in training, and all others that records come in.

    Args:
        vocabulary: words of the training data.
        characters: their characters.
        splitting: how a text is split, as in :class:`~seqmodels.data.WordVocabulary`.
        layout: how the training file was written, the fields of a ``TagLayout``; empty if it was not a file of one's
            own.

    Example:
        >>> words = WordVocabulary(["<pad>", "<unk>", "the"], splitting="spaces")
        >>> letters = CharacterVocabulary(["<pad>", "<unk>", "t", "h", "e"])
        >>> fitted = TagPreprocessing(vocabulary=words, characters=letters)
        >>> batch = fitted.collate([fitted.encode({"text": "The end."})])
        >>> batch.inputs.tokens.tolist(), batch.inputs.letters.tolist()
        ([[2, 1, 1]], [[1, 3, 4], [4, 1, 1], [1, 0, 0]])
    """

    vocabulary: WordVocabulary
    characters: CharacterVocabulary
    splitting: Splitting = "words"
    layout: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_splitting(self.splitting)

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        layout = self._layout_of(path, format)
        return super().read(path, format) if layout is None else layout.read(path)

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for a text, or for a list of tokens."""
        return {"tokens": list(value)} if isinstance(value, list | tuple) else super().fields_of(value)

    def encode(self, record: Mapping[str, Any]) -> Any:
        """Return the tokens of a record, a list of texts.

        Raises:
            ValueError: it has neither ``tokens`` nor ``text``, or there is no token in them.
        """
        if "tokens" in record or "text" not in record:
            return tokens_of(record)
        text = record["text"]
        tokens = split_words(text, self.splitting) if isinstance(text, str) else []
        if not tokens:
            raise ValueError(f"text: there is no token to read, got {text!r:.100}")
        return tokens

    def carried(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields of a record, with the tokens of a text, so that each tag has its token beside it."""
        kept = super().carried(fields)
        text = fields.get("text")
        if "tokens" in fields or not isinstance(text, str):
            return kept
        return {**kept, "tokens": split_words(text, self.splitting)}

    def collate(self, values: Sequence[Sequence[str]]) -> TagBatch:
        unknown = [torch.zeros(len(tokens), dtype=torch.long) for tokens in values]
        return self._dataset(values, unknown).__getitems__(list(range(len(values))))

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> TagDataset:
        dataset, counts = self.dataset(TaggedSentences.of(records), class_names)
        log.info("input: %s", counts)
        return dataset

    def dataset(self, part: TaggedSentences, class_names: Sequence[str]) -> tuple[TagDataset, SentenceCounts]:
        """Return sentences as a split, and their statistics.

        Raises:
            ValueError: a tag is not in ``class_names``; the message has its locations.
        """
        targets = class_targets([tag for tags in part.tags for tag in tags], part.token_places(), class_names)
        dataset = self._dataset(part.tokens, targets.split([len(tags) for tags in part.tags]))
        unknown = sum(row.tolist().count(self.vocabulary.unknown) for row in dataset.tokens)
        return dataset, SentenceCounts(len(dataset), len(targets), unknown)

    def _dataset(self, sentences: Sequence[Sequence[str]], targets: Sequence[Tensor]) -> TagDataset:
        forms = {form: number for number, form in enumerate(dict.fromkeys(form for row in sentences for form in row))}
        words = torch.tensor([self._word(form) for form in forms], dtype=torch.long)
        spelling = [torch.tensor([forms[form] for form in row]) for row in sentences]
        letters = [self._letters(form) for form in forms]
        return TagDataset([words[row] for row in spelling], spelling, letters, targets, list(forms))

    def _word(self, form: str) -> int | None:
        found = self.vocabulary.encode(joined(form))
        return found[0] if len(found) == 1 else self.vocabulary.unknown  # NFKC puts spaces into some words

    def _letters(self, form: str) -> Tensor:
        shown = form if len(form) <= LETTERS else form[: LETTERS // 2] + form[-LETTERS // 2 :]
        return torch.tensor(self.characters.encode(shown) or [self.characters.unknown])

    def _layout_of(self, path: str, format: str | None) -> TagLayout | None:
        """Return how a file is written, or None if it is not of tagged sentences: ``format``, or its suffix tells."""
        trained = TagLayout(**self.layout) if self.layout else None
        kind = format or SUFFIXES.get(suffix_of(path))
        if trained is not None and (format == trained.format or (format is None and suffix_of(path) == trained.suffix)):
            return trained
        return TagLayout.of(path, kind) if kind in get_args(TagFormat) else None
