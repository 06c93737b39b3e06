"""Text for language models: tokenised documents in windows for truncated back-propagation through time."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.text.corpus import Corpus
from seqmodels.data.text.text_preprocessing import TextPreprocessing, with_space
from seqmodels.data.text.tokenized import in_memory, tokenized
from seqmodels.data.text.vocabulary import UNK, CharacterVocabulary
from seqmodels.data.text.vocabulary_learning import VocabularyLearner
from seqmodels.data.text.windowed import TokenCounts, WindowedText

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class WindowPreparation(Preparation):
    """Tokenised documents, read in windows.

    Args:
        bptt: window length in steps, the truncation length of back-propagation.
        packed: fill the rows of training windows with as many documents as fit, each read from the initial state: fewer
            and fuller windows where documents are short.
        random_windows: random training window lengths as in AWD-LSTM; for a single text only.
    """

    bptt: int = 64
    packed: bool = False
    random_windows: bool = False

    def __post_init__(self) -> None:
        if self.bptt < 1:
            raise ValueError(f"bptt must be at least 1, got {self.bptt}")

    @abstractmethod
    def corpora(self, splits: Splits[Documents]) -> tuple[TextPreprocessing, Splits[Corpus]]:
        """Return the tokenisation, fitted on the training split only, and the tokens of each split."""

    def prepare(self, splits: Splits[Documents]) -> Prepared:
        text, corpora = self.corpora(splits)
        log.info("vocabulary: %s", text.vocabulary)
        windowed, counts = {}, {}
        for name, corpus in corpora._asdict().items():
            if corpus is None:
                continue
            options = {"packed": self.packed, "random_windows": self.random_windows}
            windowed[name] = WindowedText(corpus, text, bptt=self.bptt, **options)
            counts[name] = TokenCounts.of(corpus)
            counts[name].say(name)
        return Prepared(Splits(**windowed), {"vocab_size": len(text.vocabulary)}, text.node, counts=counts)


@dataclass(kw_only=True)
class InMemoryPreparation(WindowPreparation):
    """Text that fits in memory, with a vocabulary fixed by the data set."""

    @abstractmethod
    def fit(self, texts: Sequence[str]) -> TextPreprocessing:
        """Build the tokenisation from the training documents."""

    def corpora(self, splits: Splits[Documents]) -> tuple[TextPreprocessing, Splits[Corpus]]:
        text = self.fit(list(splits.train))
        return text, in_memory(splits, text)


@dataclass(kw_only=True)
class TokenizedPreparation(WindowPreparation):
    """Text of any size, tokenised once with a learnt vocabulary.

    Example:
        >>> from seqmodels.data import CharacterLearner, Documents, Splits
        >>> splits = Splits(*(Documents.of([text]) for text in ("to be or not to be", "to be", "not to be")))
        >>> prepared = TokenizedPreparation(vocabulary=CharacterLearner(), bptt=5).prepare(splits)
        >>> prepared.sizes
        {'vocab_size': 10}

    Args:
        vocabulary: learns the vocabulary from the training text. If it lacks ``<eos>``, that token is added for
            document edges; with a word vocabulary, it also marks line ends.
        cache_dir: folder for token files; the user's cache folder by default.
    """

    vocabulary: VocabularyLearner
    cache_dir: str | Path | None = None

    def corpora(self, splits: Splits[Documents]) -> tuple[TextPreprocessing, Splits[Corpus]]:
        return tokenized(splits, self.vocabulary, self.cache_dir)


def by_characters(text: str, *, space: str | None = None) -> TextPreprocessing:
    """Build a character vocabulary of a single text, with a token for unknown characters.

    If given, ``space`` stands for spaces, and those around lines are dropped.
    """
    characters = sorted(set(with_space(text, space)))
    vocabulary = CharacterVocabulary([UNK, *characters], normalization=None)
    return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.tokens.index("\n"), ends=False, space=space)
