"""What the published sets of labelled texts share."""

from pathlib import Path

from seqmodels.data.labelled_text import LabelledTextData
from seqmodels.data.module import PublishedDataModule
from seqmodels.data.vocabulary_learning import VocabularyLearner


class PublishedLabelsData(LabelledTextData, PublishedDataModule):
    """Labelled texts from published files below a data folder.

    Args:
        data_dir: holds the set's ``folder`` with its files, plain or with ``.gz``.
        vocabulary: learns it from the train split.
        max_length: most tokens of a text; what follows is left out, and counted. All where None.
        data_seed: of the split, where the set is not split as published.
        download: fetch what is missing.
        batch_size, num_workers, seed, drop_last, bucketing: as in :class:`~seqmodels.data.SequenceDataModule`.
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        vocabulary: VocabularyLearner,
        max_length: int | None = None,
        data_seed: int = 0,
        download: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = True,
    ) -> None:
        PublishedDataModule.__init__(
            self,
            data_dir,
            download=download,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        self.read_by(vocabulary, max_length)
        self.data_seed = data_seed
