"""Tokens of a split, read in windows, and their statistics."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Augmentation, Split
from seqmodels.data.loading import Loading
from seqmodels.data.text.corpus import Corpus, joined
from seqmodels.data.text.windows import TextWindow, WindowLoader

if TYPE_CHECKING:
    from seqmodels.data.text.text_preprocessing import TextPreprocessing

MUCH = 0.05
"""Share of unknown tokens above which there is a warning."""

log = logging.getLogger("seqmodels")


class TokenCounts(NamedTuple):
    """Statistics of a text for language models."""

    documents: int
    tokens: int  # to predict
    unknown: int  # of them, out of the vocabulary

    @classmethod
    def of(cls, corpus: Corpus) -> "TokenCounts":
        return cls(corpus.documents, corpus.targets, corpus.counts.unknown)

    def say(self, name: str) -> None:
        """Log the statistics of the part ``name``, with a warning if the loss says little about the text."""
        share = self.unknown / max(self.tokens, 1)
        log.info("%s: %d documents, %d tokens, %.2f %% unknown", name, self.documents, self.tokens, 100 * share)
        if share > MUCH:
            log.warning(
                "%s: %.1f %% of the tokens are not in the vocabulary. All count as one token, <unk>, which is easy to "
                "predict: loss, perplexity and bits per character are too low to be compared with others. A larger "
                "vocabulary.max_size, vocabulary.min_frequency=1 or vocabulary=bpe leaves fewer tokens unknown.",
                name,
                100 * share,
            )


class WindowedText(Split[TextWindow]):
    """Tokens of a split, read in windows.

    Args:
        corpus: tokens and documents.
        text: the tokenisation.
        bptt, packed, random_windows: as in :class:`WindowPreparation`.
        whole: evaluate a single text in one row, so that its loss is exact; ``bptt`` is then shared by all rows.
    """

    def __init__(
        self,
        corpus: Corpus,
        text: "TextPreprocessing",
        *,
        bptt: int,
        packed: bool = False,
        random_windows: bool = False,
        whole: bool = False,
    ) -> None:
        self.corpus = corpus
        self.text = text
        self.bptt = bptt
        self.packed = packed
        self.random_windows = random_windows
        self.whole = whole

    def joined(self, others: Sequence["WindowedText"]) -> "WindowedText":
        corpus = joined([self.corpus, *(other.corpus for other in others)], self.text.edge)
        options = {"packed": self.packed, "random_windows": self.random_windows}
        return WindowedText(corpus, self.text, bptt=self.bptt, **options)

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
        lengths = np.array([corpus.targets]) if self.packed else np.diff(corpus.offsets)
        windows = int((-(-lengths // self.bptt)).sum())
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
        if not shuffle and (self.whole or self.corpus.documents > 1):
            rows = min(rows, -(-self.corpus.documents // world_size))
        return WindowLoader(
            self.corpus,
            rows=rows,
            bptt=max(self.bptt // rows, 1) if self.whole else self.bptt,
            training=shuffle,
            packed=shuffle and self.packed,
            random_windows=shuffle and self.random_windows,
            seed=loading.seed,
            rank=rank,
            world_size=world_size,
        )
