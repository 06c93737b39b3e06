"""Tokenisation of pairs of texts, as fitted on the train split."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple, get_args

from seqmodels.data.formats.records import Record, readable
from seqmodels.data.preprocessing import Example, Preprocessing
from seqmodels.data.text.pairs.batch import Pair, PairBatch, PairDataset, PairText, collate_pairs
from seqmodels.data.text.pairs.texts import PairedTexts, TargetUnit, targets_of, text_of
from seqmodels.data.text.token_preprocessing import Empty, check_options
from seqmodels.data.text.vocabulary import Vocabulary, WordVocabulary

log = logging.getLogger("seqmodels")


class PairCounts(NamedTuple):
    """Statistics of the pairs in a split."""

    pairs: int
    source_tokens: int
    target_tokens: int
    source_unknown: int  # tokens that are not in the vocabulary
    target_unknown: int
    cut: int  # sources or targets longer than their limit
    dropped: int  # pairs with an empty source or target

    def __str__(self) -> str:
        shares = [
            f"{tokens} {side} tokens ({100 * unknown / max(tokens, 1):.2f} % unknown)"
            for side, tokens, unknown in (
                ("source", self.source_tokens, self.source_unknown),
                ("target", self.target_tokens, self.target_unknown),
            )
        ]
        parts = f"{self.pairs} pairs, {', '.join(shares)}, {self.cut} texts cut at their limit"
        return parts + (f", {self.dropped} empty ones left out" if self.dropped else "")


@dataclass(kw_only=True, eq=False)
class PairPreprocessing(Preprocessing):
    """Tokenises sources and targets, and turns tokens into the text of an output.

    The token ``<eos>`` of the target vocabulary starts and ends every target.

    Args:
        source_vocabulary, target_vocabulary: those of the training data; the second has ``<eos>``.
        source, target: fields of a record; of a plain line, ``text`` is the source.
        max_length, max_target_length: maximum number of tokens; longer texts are truncated. No limit if None.
        longest, longest_target: number of tokens of the longest source and target of the train split.
        empty: whether a pair with an empty source or target in the training data is an error (``error``) or dropped and
            counted (``drop``). In new files, an empty source has no prediction.
        unit: what errors in the output are counted in.
        dialect: how the training table was written, the fields of a ``CSVDialect``; new files are read in the same way.

    Raises:
        ValueError: an option is outside its range, or the target vocabulary has no ``<eos>``.

    Example:
        >>> from seqmodels.data import CharacterVocabulary
        >>> letters = CharacterVocabulary(["<pad>", "<unk>", "<eos>", "a", "b"])
        >>> text = PairPreprocessing(source_vocabulary=letters, target_vocabulary=letters)
        >>> text.encode({"text": "abx"}).copies, text.written([4, 3, 5, 2, 3], "abx")
        ([3, 4, 5], 'bax')
    """

    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    source: str = "source"
    target: str = "target"
    max_length: int | None = None
    max_target_length: int | None = None
    longest: int = 0
    longest_target: int = 0
    empty: Empty = "error"
    unit: TargetUnit = "words"
    dialect: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self.max_length, self.empty)
        if self.max_target_length is not None and self.max_target_length < 1:
            raise ValueError(f"max_target_length must be at least 1 token, got {self.max_target_length}")
        if self.unit not in get_args(TargetUnit):
            raise ValueError(f"unit must be one of {', '.join(get_args(TargetUnit))}, got {self.unit!r}")
        if self.target_vocabulary.eos is None:
            raise ValueError("target_vocabulary must have the token <eos>, which ends a target")
        self.end = self.target_vocabulary.eos
        first = len(self.target_vocabulary.specials)
        self._targets = {token: number for number, token in enumerate(self.target_vocabulary.tokens) if number >= first}

    def encode(self, record: Mapping[str, Any]) -> Pair:  # type: ignore[override]  # a pair in place of a tensor
        """Return the tokens of a record's source; its target is the end token alone."""
        field = "text" if set(record) == {"text"} else self.source
        text = text_of(record, field)
        pair = self._pair(text, (), "")
        if not len(pair.source):
            raise ValueError(f"{field}: there is no token to read, got {text!r}")
        return pair

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict, in order; after the last, log what differs from the training data."""
        number = tokens = unknown = longer = 0
        for example in super().examples(records):
            if example.value is not None:
                number, tokens = number + 1, tokens + len(example.value.source)
                unknown += example.value.source.count(self.source_vocabulary.unknown)
                longer += len(example.value.source) > self.longest
            yield example
        log.info("input: %d sources, %d tokens, %.2f %% unknown", number, tokens, 100 * unknown / max(tokens, 1))
        if longer:
            log.warning(
                "%d of %d sources are longer than the longest one of the training data, which has %d tokens: the model "
                "reads them whole, but has not learnt to",
                longer, number, self.longest,
            )  # fmt: skip

    def collate(self, values: Sequence[Pair]) -> PairBatch:
        """Collate pairs, each with the texts that it was made from."""
        return collate_pairs(values, texts=True)

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> PairDataset:  # noqa: ARG002
        found = PairedTexts([], [], [])
        for place, fields, _ in readable(records):
            try:
                found.sources.append(text_of(fields, self.source))
                found.targets.append(targets_of(fields, self.target))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
            found.places.append(place)
        dataset, counts = dataclasses.replace(self, empty="drop").dataset(found, texts=True)
        log.info("input: %s", counts)
        return dataset

    def dataset(self, part: PairedTexts, *, texts: bool) -> tuple[PairDataset, PairCounts]:
        """Return pairs as a split, and their statistics.

        A source with several targets is one row: the loss refers to the first, metrics of the output to all.

        Raises:
            ValueError: a source or target has no tokens, and is not to be dropped; the message names its location.
        """
        pairs = [self._pair(source, targets, targets[0]) for source, targets in zip(*part[:2], strict=True)]
        kept = [row for row, pair in enumerate(pairs) if len(pair.source) and len(pair.target) > 1]
        if len(kept) < len(pairs) and self.empty == "error":
            row = next(row for row, other in enumerate([*kept, None]) if row != other)
            side, text = ("target", part.targets[row][0]) if len(pairs[row].source) else ("source", part.sources[row])
            raise ValueError(
                f"{part.places[row]}: the {side} {text!r} has no token; data.empty=drop leaves such pairs out"
            )
        dataset = PairDataset([pairs[row] for row in kept], texts=texts)
        return dataset, self._counts(dataset.pairs, len(pairs) - len(kept))

    def _counts(self, pairs: Sequence[Pair], dropped: int) -> PairCounts:
        sources, targets = self.source_vocabulary, self.target_vocabulary
        known = len(targets)
        limits = (self.max_length, self.max_target_length)
        cut = 0
        if limits != (None, None):
            whole = ((sources.encode(pair.text.source), targets.encode(pair.text.references[0])) for pair in pairs)
            cut = sum(any(n is not None and len(t) > n for t, n in zip(texts, limits, strict=True)) for texts in whole)
        return PairCounts(
            pairs=len(pairs),
            source_tokens=sum(len(pair.source) for pair in pairs),
            target_tokens=sum(len(pair.target) - 1 for pair in pairs),
            source_unknown=sum(token == sources.unknown for pair in pairs for token in pair.source),
            target_unknown=sum(token == targets.unknown or token >= known for pair in pairs for token in pair.target),
            cut=cut,
            dropped=dropped,
        )

    def written(self, tokens: Iterable[int], source: str) -> str:
        """Return the text of an output up to its end token; tokens past the vocabulary are copied from the source.

        Raises:
            ValueError: a token is neither in the vocabulary nor one of the source.
        """
        size, joint = len(self.target_vocabulary), " " if isinstance(self.target_vocabulary, WordVocabulary) else ""
        texts, run, copied = list[str](), list[int](), self._copies(source)[1]
        for token in takewhile(lambda token: token != self.end, tokens):
            if token < size:
                run.append(token)
                continue
            if token - size >= len(copied):
                raise ValueError(f"an output token must be 0 to {size + len(copied) - 1}, got {token}")
            texts += [self.target_vocabulary.decode(run)] * bool(run) + [copied[token - size]]
            run = []
        return joint.join([*texts, self.target_vocabulary.decode(run)] if run else texts)

    def reference(self, target: str) -> str:
        """Return a target as the target vocabulary writes it, with all words; by words, separated by single spaces."""
        by_words = isinstance(self.target_vocabulary, WordVocabulary)
        return " ".join(self.target_pieces(target)) if by_words else self.target_vocabulary.normalize(target)

    def source_pieces(self, source: str) -> list[str]:
        """Return the tokens that are read of a source, as texts."""
        return self.source_vocabulary.pieces(source)[: self.max_length]

    def target_pieces(self, target: str) -> list[str]:
        """Return the tokens of a target, as texts."""
        return self.target_vocabulary.pieces(target)

    def _copies(self, source: str) -> tuple[list[int], list[str]]:
        """Return what the tokens of a source are as target tokens, and those of them past the target vocabulary.

        A vocabulary without ``<unk>``, of byte pairs, has every text: what it has no token for is ``<pad>``.
        """
        if self.target_vocabulary.unknown is None:
            return [self._targets.get(piece, 0) for piece in self.source_pieces(source)], []
        new: dict[str, int] = {}
        size = len(self._targets) + len(self.target_vocabulary.specials)
        tokens = [
            self._targets[piece] if piece in self._targets else size + new.setdefault(piece, len(new))
            for piece in self.source_pieces(source)
        ]
        return tokens, list(new)

    def _pair(self, source: str, references: tuple[str, ...], target: str) -> Pair:
        copies, new = self._copies(source)
        tokens = self.target_vocabulary.encode(target)[: self.max_target_length]
        unknown = self.target_vocabulary.unknown
        if new and unknown in tokens:
            number = {piece: len(self.target_vocabulary) + place for place, piece in enumerate(new)}
            pieces = self.target_pieces(target)
            tokens = [
                number.get(piece, token) if token == unknown else token
                for token, piece in zip(tokens, pieces, strict=False)
            ]
        sources = self.source_vocabulary.encode(source)[: self.max_length]
        return Pair(sources, copies, [*tokens, self.end], PairText(source, references))
