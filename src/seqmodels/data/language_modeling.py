"""What the data modules of language modelling share."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from seqmodels.data.batch import TargetKind
from seqmodels.data.corpus import Corpus
from seqmodels.data.module import SPLITS, SequenceDataModule
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.text_windows import WindowLoader


class LanguageModelingData(SequenceDataModule):
    """Text for language models, read in windows for truncated back-propagation through time.

    A subclass says in :meth:`splits` where the corpora come from, and sets :attr:`text` there.

    Args:
        batch_size: rows that are read side by side in training.
        eval_batch_size: rows in validation and test, at most one a document; as in training where not given. The loss
            does not hang on it, unless the split is a single text, which is cut.
        bptt: steps of a window: so far back reaches the gradient.
        random_windows: draw the lengths of training windows as AWD-LSTM does; of a single text only.
        seed: of the order of documents and of these lengths.
    """

    target_kind: ClassVar[TargetKind] = "language_modeling"
    text: TextPreprocessing

    def __init__(
        self,
        *,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        for name, value in (("bptt", bptt), ("eval_batch_size", self.eval_batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.bptt = bptt
        self.random_windows = random_windows

    @abstractmethod
    def splits(self) -> Mapping[str, Corpus]:
        """Read the corpora ``train``, ``val`` and ``test``, and set :attr:`text`, fitted on the first alone."""

    @property
    def sizes(self) -> dict[str, Any]:
        return {"vocab_size": len(self.text.vocabulary)}

    @property
    def preprocessing(self) -> dict[str, Any]:
        return self.text.node

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Load and check the corpora; a second call does nothing.

        Raises:
            ValueError: a corpus is empty or too short for its rows, or augmentation is asked for.
        """
        if self._splits is not None:
            return
        if self.augmentation:
            raise ValueError("windows over text go on from one another, so that augmentation cannot act on them")
        splits = self.splits()
        for name in SPLITS:
            self.check(name, splits[name])
        self._splits = splits

    def check(self, name: str, split: Corpus) -> None:
        """Raise ``ValueError``, naming the split, where it has nothing to predict, or no window for each row."""
        if split.targets < 1:
            raise ValueError(f"the {name} split must hold at least two tokens, got {len(split.tokens)}")
        if name != "train":
            return
        windows = int((-(-np.diff(split.offsets) // self.bptt)).sum())
        if windows < self.batch_size:
            raise ValueError(
                f"the train split has {split.targets} tokens to predict, {windows} windows of bptt={self.bptt}: too "
                f"short for batch_size={self.batch_size} rows; make one of the two smaller"
            )
        if self.random_windows and split.documents > 1:
            raise ValueError(f"random_windows needs a single text, the train split has {split.documents} documents")

    def loader(self, name: str, *, shuffle: bool = False, drop_last: bool = False) -> Any:  # noqa: ARG002
        """Return the windows of a split for this process; ``shuffle`` makes them those of training."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        corpus = self.split(name)
        rows = self.batch_size if name == "train" else self.eval_batch_size
        if not shuffle and corpus.documents > 1:
            rows = min(rows, -(-corpus.documents // world_size))
        return WindowLoader(
            corpus,
            self.text.characters,
            rows=rows,
            bptt=self.bptt,
            training=shuffle,
            random_windows=shuffle and self.random_windows,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )

    def predict_dataloader(self) -> Any:
        return self.loader("test")
