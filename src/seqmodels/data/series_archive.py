"""What the problems of the UCR and UEA archives share: a train file, a test file, classes."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.files import DataFile
from seqmodels.data.module import PublishedDataModule
from seqmodels.data.sequences import RaggedDataset
from seqmodels.data.series_preprocessing import SeriesPreprocessing, fit_standardization, standardization
from seqmodels.data.splits import stratified_split
from seqmodels.data.ts_format import Missing, SeriesFile

REPOSITORIES = (
    "https://raw.githubusercontent.com/aeon-toolkit/aeon/a101ddc8b35a65441609b45c9bcce5aeafa0c131/aeon/datasets/data/",
    "https://raw.githubusercontent.com/sktime/sktime/d083d009d6907fd0c3d5634926edffe7c085faa1/sktime/datasets/data/",
)


def archive_file(archive: str, part: str, size: int, sha256: str, *, folder: str = "") -> DataFile:
    """Describe the file ``TRAIN`` or ``TEST`` of an archive, which lies in ``folder`` of the set's own."""
    name = f"{archive}_{part}.ts"
    return DataFile(f"{folder}{name}", size, sha256, tuple(f"{url}{archive}/{name}" for url in REPOSITORIES))


class ArchiveData(PublishedDataModule, ABC):
    """A problem of the archives: series of numbers in classes, with a published train and test file.

    The val split is part of the train file, each class alike, by ``data_seed``; the test file is the test split and
    nothing else. Each channel is standardised with the mean and deviation of the train split.

    Args:
        data_dir, download: as in :class:`PublishedDataModule`.
        val_share: how much of the train file is the val split. With 0 all of it is trained on, and nothing is held out
            to choose by: the val split is then the train split again. That is for a last training run whose every
            option is settled.
        standardize: whether to standardise; the archives' univariate problems are standardised row by row already.
        missing: what becomes of a missing value, see :func:`~seqmodels.data.ts_format.parse_ts`.
        data_seed: of the draw of the val split.
    """

    target_kind: ClassVar[TargetKind] = "classification"
    license = "free for research; cite the archives"

    def __init__(
        self,
        data_dir: str | Path,
        *,
        val_share: float = 0.2,
        standardize: bool = True,
        missing: Missing = "error",
        data_seed: int = 0,
        download: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = False,
    ) -> None:
        super().__init__(
            data_dir,
            download=download,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        if not 0 <= val_share < 1:
            raise ValueError(f"val_share must lie in [0, 1), got {val_share}")
        self.val_share = val_share
        self.standardize = standardize
        self.missing: Missing = missing
        self.data_seed = data_seed
        self._sizes: dict[str, int] = {}
        self._class_names: tuple[str, ...] = ()
        self._statistics: tuple[list[float], list[float]] = ([], [])

    @abstractmethod
    def read(self, part: str) -> SeriesFile:
        """Read the file ``TRAIN`` or ``TEST``."""

    @property
    def sizes(self) -> dict[str, int]:
        if not self._sizes:
            raise RuntimeError(f"{type(self).__name__}.setup() must be called before its sizes are known")
        return self._sizes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    @property
    def preprocessing(self) -> dict[str, Any]:
        return {**standardization(*self._statistics), "missing": self.missing}

    def splits(self) -> dict[str, RaggedDataset]:
        train, test = self.read("TRAIN"), self.read("TEST")
        check_pair(train, test)
        self._class_names = train.class_names
        labels, test_labels = (_indices(part.labels, train.class_names) for part in (train, test))
        train_rows, val_rows = self._parted(labels)
        fitted = self._fit([train.series[row] for row in train_rows])
        self._sizes = {"input_size": train.series[0].shape[1], "output_size": len(train.class_names)}
        lengths = {len(series) for part in (train, test) for series in part.series}
        if len(lengths) == 1:
            self._sizes["time"] = lengths.pop()
        inputs = [fitted.standardized(series) for series in train.series]
        return {
            "train": RaggedDataset([inputs[row] for row in train_rows], labels[train_rows]),
            "val": RaggedDataset([inputs[row] for row in val_rows], labels[val_rows]),
            "test": RaggedDataset([fitted.standardized(series) for series in test.series], test_labels),
        }

    def _parted(self, labels: Tensor) -> tuple[list[int], list[int]]:
        """Return the rows of the train file that are trained on, and those that are validated on."""
        if self.val_share == 0:
            rows = list(range(len(labels)))
            return rows, rows
        train, val = stratified_split(labels, (1 - self.val_share, self.val_share), self.data_seed)
        if len(train) == 0:  # the check of the splits would say so, but the statistics come first
            raise ValueError(f"the train split is empty: val_share={self.val_share} of {len(labels)} rows leaves none")
        return train.tolist(), val.tolist()

    def _fit(self, series: list[Tensor]) -> SeriesPreprocessing:
        """Learn mean and deviation of each channel, 0 and 1 where nothing is to be standardised."""
        if self.standardize:
            self._statistics = fit_standardization(series)
        else:
            channels = series[0].shape[1]
            self._statistics = ([0.0] * channels, [1.0] * channels)
        mean, deviation = self._statistics
        return SeriesPreprocessing(mean=mean, deviation=deviation)


def _indices(labels: list[str], class_names: tuple[str, ...]) -> Tensor:
    return torch.tensor([class_names.index(label) for label in labels], dtype=torch.long)


def check_pair(train: SeriesFile, test: SeriesFile) -> None:
    """Raise ``ValueError`` where two files are not parts of one problem: without classes, or with others."""
    for part in (train, test):
        if not part.class_names:
            raise ValueError(f"{part.name}: its cases have no classes (@classLabel false)")
    for row, label in enumerate(test.labels, start=1):
        if label not in train.class_names:
            known = ", ".join(train.class_names)
            raise ValueError(f"{test.name}, case {row}: class {label!r} is not one of the training file's: {known}")
    channels, others = train.series[0].shape[1], test.series[0].shape[1]
    if channels != others:
        raise ValueError(f"{test.name}: has {others} dimensions, {train.name} has {channels}")
