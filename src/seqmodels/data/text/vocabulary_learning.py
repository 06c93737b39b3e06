"""Learning a vocabulary from texts: configurable learners with ``learn(texts) -> Vocabulary``."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from seqmodels.data.text.bpe import BPEVocabulary, learn_bpe
from seqmodels.data.text.vocabulary import (
    EOS,
    PAD,
    UNK,
    CharacterVocabulary,
    Normalization,
    Splitting,
    Vocabulary,
    WordVocabulary,
    check_normalization,
    check_splitting,
    normalize,
    split_words,
)


@dataclass(kw_only=True)
class VocabularyLearner(ABC):
    """Options for learning a vocabulary; learning is deterministic.

    Args:
        normalization, lowercase: as for the vocabulary.
        min_frequency: minimum number of occurrences in all texts together; rarer tokens are unknown.
        max_size: maximum vocabulary size, including special tokens; the most frequent tokens are kept.
        eos: whether to add a token for line or document ends.
    """

    normalization: Normalization | None = "NFC"
    lowercase: bool = False
    min_frequency: int = 1
    max_size: int | None = None
    eos: bool = False
    specials: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_normalization(self.normalization)
        self.specials = (PAD, UNK, EOS) if self.eos else (PAD, UNK)
        if self.min_frequency < 1:
            raise ValueError(f"min_frequency must be at least 1, got {self.min_frequency}")
        if self.max_size is not None and self.max_size <= len(self.specials):
            raise ValueError(f"max_size must be more than the {len(self.specials)} special tokens, got {self.max_size}")

    @abstractmethod
    def learn(self, texts: Iterable[str]) -> Vocabulary:
        """Return the vocabulary of texts, sorted by descending frequency, then by characters.

        Raises:
            ValueError: the texts contain no possible token.
        """

    def _normalized(self, texts: Iterable[str]) -> Iterator[str]:
        return (normalize(text, self.normalization, self.lowercase) for text in texts)

    def _frequent(self, counts: Counter[str]) -> list[str]:
        """Return the special tokens and the sufficiently frequent ones."""
        ordered = sorted((-count, token) for token, count in counts.items() if token not in self.specials)
        room = None if self.max_size is None else self.max_size - len(self.specials)
        kept = [token for count, token in ordered[:room] if -count >= self.min_frequency]
        if not kept:
            raise ValueError(
                f"no token occurs {self.min_frequency} times in the training texts, which have {len(counts)} "
                "different ones: a vocabulary needs at least one (min_frequency, or texts that are not empty)"
            )
        return [*self.specials, *kept]


class CharacterLearner(VocabularyLearner):
    """Learns the characters of texts; options as for all."""

    def learn(self, texts: Iterable[str]) -> CharacterVocabulary:
        counts: Counter[str] = Counter()
        for text in self._normalized(texts):
            counts.update(text)
        return CharacterVocabulary(self._frequent(counts), normalization=self.normalization, lowercase=self.lowercase)


@dataclass(kw_only=True)
class WordLearner(VocabularyLearner):
    """Learns the words of texts; options as for all, plus ``splitting`` as in ``WordVocabulary``.

    Example:
        >>> WordLearner().learn(["a good film"]).encode("a bad film")
        [2, 1, 3]
    """

    lowercase: bool = True
    splitting: Splitting = "words"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_splitting(self.splitting)

    def learn(self, texts: Iterable[str]) -> WordVocabulary:
        counts: Counter[str] = Counter()
        for text in self._normalized(texts):
            counts.update(split_words(text, self.splitting))
        return WordVocabulary(
            self._frequent(counts),
            normalization=self.normalization,
            lowercase=self.lowercase,
            splitting=self.splitting,
        )


@dataclass(kw_only=True)
class BPELearner(VocabularyLearner):
    """Learns byte pair merges; options as for all: a merge must occur ``min_frequency`` times.

    ``max_size`` must leave room for all 256 bytes, so that nothing is unknown.
    """

    min_frequency: int = 2
    max_size: int = 8000
    size: int = field(init=False, repr=False)  # number of tokens to learn

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 256 + len(self.specials)
        if self.max_size < least:
            raise ValueError(
                f"max_size must be at least {least}, for 256 bytes and the special tokens, got {self.max_size}"
            )
        self.size = self.max_size - len(self.specials)

    def learn(self, texts: Iterable[str]) -> BPEVocabulary:
        tokens, merges = learn_bpe(self._normalized(texts), size=self.size, min_frequency=self.min_frequency)
        return BPEVocabulary(
            [*self.specials, *tokens], merges=merges, normalization=self.normalization, lowercase=self.lowercase
        )
