"""Labelled texts of one's own: what all forms share, and a folder of folders."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

from seqmodels.data.folders import read_folders
from seqmodels.data.labelled_text import Empty, LabelledTextData, LabelledTexts, parted
from seqmodels.data.vocabulary_learning import VocabularyLearner


class OwnTextData(LabelledTextData):
    """Labelled texts of one's own.

    Args:
        path: of all texts, or of those to train with.
        vocabulary: learns it from the train split.
        val_path, test_path: of the texts to validate and test with; drawn from those at ``path`` where None.
        val_share, test_share: how large a share of ``path`` is drawn where there is no path: of each class alike.
        encoding: of the files.
        max_length: most tokens of a text; what follows is left out, and counted. All where None.
        empty: whether a text without a token is an error (``error``) or left out and counted (``drop``).
        data_seed: of what is drawn.
        batch_size, num_workers, seed, drop_last, bucketing: as in :class:`~seqmodels.data.SequenceDataModule`.
    """

    citation = "your own data"
    license = "your own"

    def __init__(
        self,
        path: str | Path,
        *,
        vocabulary: VocabularyLearner,
        val_path: str | Path | None = None,
        test_path: str | Path | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        encoding: str = "utf-8",
        max_length: int | None = None,
        empty: Empty = "error",
        data_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = True,
    ) -> None:
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, seed=seed, drop_last=drop_last, bucketing=bucketing
        )
        self.read_by(vocabulary, max_length, empty=empty)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.shares = {"val": val_share, "test": test_share}
        for name, share in self.shares.items():
            if self.paths[name] is None and not 0 < share < 1:
                raise ValueError(f"{name}_share must lie in (0, 1) where there is no {name}_path, got {share}")
        drawn = [share for name, share in self.shares.items() if self.paths[name] is None]
        if sum(drawn) >= 1:
            raise ValueError(f"val_share and test_share must leave something to train with, got {drawn}")
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(
                f"encoding must be one that Python knows, like utf-8 or latin-1, got {encoding!r}"
            ) from error
        self.encoding = encoding
        self.data_seed = data_seed

    @abstractmethod
    def table(self, path: Path) -> LabelledTexts:
        """Read the texts at a path."""

    def read(self) -> Mapping[str, LabelledTexts]:
        parts = {name: self.table(Path(path)) for name, path in self.paths.items() if path is not None}
        drawn = {name: share for name, share in self.shares.items() if name not in parts}
        if drawn:
            shares = (1 - sum(drawn.values()), *drawn.values())
            parts |= zip(("train", *drawn), parted(parts["train"], shares, self.data_seed), strict=True)
        return parts


class TextFolderData(OwnTextData):
    """Texts in a folder of folders, ``pos/1.txt``: the name of a folder is its texts' class; options as for all."""

    name = "text_folder"

    def table(self, path: Path) -> LabelledTexts:
        return read_folders(path, encoding=self.encoding)
