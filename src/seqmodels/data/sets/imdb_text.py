"""Film reviews as text for language models."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

from seqmodels.data.raw import Documents, LabelledTexts, Splits
from seqmodels.data.sets.imdb import IMDBData
from seqmodels.data.source import PublishedSource
from seqmodels.data.text.language_modeling import TokenizedPreparation


@dataclass(kw_only=True)
class IMDBTextData(PublishedSource):
    """The reviews and splits of :class:`~seqmodels.data.IMDBData` without labels; each review is a document.

    Args:
        data_seed: as there.
        max_reviews: limit per split, taking the first ones, for a quick trial.
    """

    name = "imdb_text"
    target_kind = "language_modeling"
    folder = IMDBData.folder
    files = IMDBData.files
    citation = IMDBData.citation
    license = IMDBData.license
    preparation = TokenizedPreparation

    max_reviews: int | None = None
    data_seed: int = 0

    def __post_init__(self) -> None:
        if self.max_reviews is not None and self.max_reviews < 1:
            raise ValueError(f"max_reviews must be at least 1, got {self.max_reviews}")

    def prepare(self) -> None:
        """Raise ``FileNotFoundError`` if the reviews are missing: they are not downloaded."""
        self._labelled.prepare()

    def splits(self) -> Splits[Documents]:
        options = {"data_seed": self.data_seed, "max_reviews": self.max_reviews}
        origin = {"files": [[str(self.set_folder.absolute())]], **options}  # the published files never change
        reviews = cache(self._labelled.splits)  # read on first use

        def read(split: str) -> Iterator[Iterator[str]]:
            texts: LabelledTexts = getattr(reviews(), split)
            for text in texts.texts[: self.max_reviews]:
                yield iter([text])

        return Splits(*(Documents(partial(read, split), self.name, origin) for split in Splits._fields))

    @property
    def _labelled(self) -> IMDBData:
        return IMDBData(data_dir=self.data_dir, data_seed=self.data_seed)
