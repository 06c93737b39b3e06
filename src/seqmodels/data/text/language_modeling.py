"""Text for language models: tokenised documents in windows for truncated back-propagation through time."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Augmentation, Split
from seqmodels.data.loading import Loading
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.text.corpus import Corpus, joined
from seqmodels.data.text.text_preprocessing import TextPreprocessing
from seqmodels.data.text.tokenized import in_memory, tokenized
from seqmodels.data.text.vocabulary import UNK, CharacterVocabulary
from seqmodels.data.text.vocabulary_learning import VocabularyLearner
from seqmodels.data.text.windows import TextWindow, WindowLoader


class WindowedText(Split[TextWindow]):
    """Tokens of a split, read in windows.

    Args:
        corpus: tokens and documents.
        text: the tokenisation.
        bptt, random_windows: as in :class:`WindowPreparation`.
    """

    def __init__(self, corpus: Corpus, text: TextPreprocessing, *, bptt: int, random_windows: bool) -> None:
        self.corpus = corpus
        self.text = text
        self.bptt = bptt
        self.random_windows = random_windows

    def joined(self, others: Sequence["WindowedText"]) -> "WindowedText":
        corpus = joined([self.corpus, *(other.corpus for other in others)], self.text.edge)
        return WindowedText(corpus, self.text, bptt=self.bptt, random_windows=self.random_windows)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        """Raise ``ValueError``, naming the split, if there is nothing to predict or too few windows for the rows."""
        for option in ("num_workers", "drop_last", "bucketing"):
            if value := getattr(loading, option):
                raise ValueError(f"{option}={value} has no effect on text that is read in windows: leave it out")
        corpus = self.corpus
        if corpus.targets < 1:
            raise ValueError(f"the {name} split must hold at least two tokens, got {len(corpus.tokens)}")
        if name != "train":
            return
        windows = int((-(-np.diff(corpus.offsets) // self.bptt)).sum())
        if windows < loading.batch_size:
            raise ValueError(
                f"the train split has {corpus.targets} tokens to predict, {windows} windows of bptt={self.bptt}: too "
                f"short for batch_size={loading.batch_size} rows; make one of the two smaller"
            )
        if self.random_windows and corpus.documents > 1:
            raise ValueError(f"random_windows needs a single text, the train split has {corpus.documents} documents")

    def loader(
        self,
        name: str,
        loading: Loading,
        *,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        augment: Augmentation[TextWindow] | None = None,
    ) -> WindowLoader:
        if augment is not None:
            raise ValueError("windows over text go on from one another, so that augmentation cannot act on them")
        rows = loading.rows(name)
        if not shuffle and self.corpus.documents > 1:
            rows = min(rows, -(-self.corpus.documents // world_size))
        return WindowLoader(
            self.corpus,
            self.text.characters,
            rows=rows,
            bptt=self.bptt,
            training=shuffle,
            random_windows=shuffle and self.random_windows,
            seed=loading.seed,
            rank=rank,
            world_size=world_size,
        )


@dataclass(kw_only=True)
class WindowPreparation(Preparation):
    """Tokenised documents, read in windows.

    Args:
        bptt: window length in steps, the truncation length of back-propagation.
        random_windows: random training window lengths as in AWD-LSTM; for a single text only.
    """

    bptt: int = 64
    random_windows: bool = False

    def __post_init__(self) -> None:
        if self.bptt < 1:
            raise ValueError(f"bptt must be at least 1, got {self.bptt}")

    @abstractmethod
    def corpora(self, splits: Splits[Documents]) -> tuple[TextPreprocessing, Splits[Corpus]]:
        """Return the tokenisation, fitted on the training split only, and the tokens of each split."""

    def prepare(self, splits: Splits[Documents]) -> Prepared:
        text, corpora = self.corpora(splits)
        windowed = Splits(
            *(WindowedText(corpus, text, bptt=self.bptt, random_windows=self.random_windows) for corpus in corpora)
        )
        return Prepared(windowed, {"vocab_size": len(text.vocabulary)}, text.node)


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


def by_characters(text: str) -> TextPreprocessing:
    """Build a character vocabulary of a single text, with a token for unknown characters."""
    vocabulary = CharacterVocabulary([UNK, *sorted(set(text))], normalization=None)
    return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.tokens.index("\n"), ends=False)
