"""Reviews of films as text for language models."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from seqmodels.data.corpus import Corpus
from seqmodels.data.imdb import IMDBData
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.tokenized import TextSource, tokenized
from seqmodels.data.vocabulary_learning import VocabularyLearner


class IMDBTextData(LanguageModelingData):
    """The reviews and splits of :class:`~seqmodels.data.imdb.IMDBData` without their labels; each is a document.

    Args:
        data_dir, data_seed: as there.
        vocabulary, cache_dir: as in :class:`~seqmodels.data.text.TextData`.
        max_reviews: take the first so many of each split, for a quick trial.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    name = "imdb_text"
    folder = IMDBData.folder
    files = IMDBData.files
    citation = IMDBData.citation
    license = IMDBData.license

    def __init__(
        self,
        data_dir: str | Path,
        vocabulary: VocabularyLearner,
        *,
        cache_dir: str | Path | None = None,
        max_reviews: int | None = None,
        data_seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            bptt=bptt,
            random_windows=random_windows,
            seed=seed,
        )
        if max_reviews is not None and max_reviews < 1:
            raise ValueError(f"max_reviews must be at least 1, got {max_reviews}")
        self.reviews = IMDBData(data_dir, vocabulary=vocabulary, data_seed=data_seed)
        self.vocabulary = vocabulary
        self.cache_dir = cache_dir
        self.max_reviews = max_reviews

    def prepare_data(self) -> None:
        """Raise ``FileNotFoundError`` where the reviews are not there: they are not fetched."""
        self.reviews.prepare_data()

    def splits(self) -> Mapping[str, Corpus]:
        self.text, corpora = tokenized(Reviews(self.reviews, self.max_reviews), self.vocabulary, self.cache_dir)
        return corpora


class Reviews(TextSource):
    """The texts of the reviews, read when they are first asked for."""

    name = "imdb_text"

    def __init__(self, data: IMDBData, max_reviews: int | None) -> None:
        self.data = data
        self.max_reviews = max_reviews

    @property
    def origin(self) -> dict[str, Any]:
        options = {"data_seed": self.data.data_seed, "max_reviews": self.max_reviews}
        return {"files": [[str(self.data.path.absolute())]], **options}  # the reviews are those that were published

    def documents(self, split: str) -> Iterator[Iterator[str]]:
        for text in self._texts[split][: self.max_reviews]:
            yield iter([text])

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        return {split: rows.texts for split, rows in self.data.read().items()}
