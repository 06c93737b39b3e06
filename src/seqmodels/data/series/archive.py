"""Classification problems of the UCR and UEA archives: a train file, a test file, classes."""

from abc import abstractmethod
from dataclasses import dataclass

import torch

from seqmodels.data.formats.files import DataFile
from seqmodels.data.formats.ts import Missing, SeriesFile
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.series.preparation import Standardization
from seqmodels.data.source import PublishedSource
from seqmodels.data.splitting import split_stratified

REPOSITORIES = (
    "https://raw.githubusercontent.com/aeon-toolkit/aeon/a101ddc8b35a65441609b45c9bcce5aeafa0c131/aeon/datasets/data/",
    "https://raw.githubusercontent.com/sktime/sktime/d083d009d6907fd0c3d5634926edffe7c085faa1/sktime/datasets/data/",
)


def archive_file(archive: str, part: str, size: int, sha256: str, *, folder: str = "") -> DataFile:
    """Describe the file ``TRAIN`` or ``TEST`` of an archive; ``folder`` lies below that of the set."""
    name = f"{archive}_{part}.ts"
    return DataFile(f"{folder}{name}", size, sha256, tuple(f"{url}{archive}/{name}" for url in REPOSITORIES))


@dataclass(kw_only=True)
class ArchiveSource(PublishedSource):
    """A problem of the archives: series of numbers in classes, with a published train and test file.

    The val split is drawn from the train file, stratified by class; the test file is the test split and nothing else.

    Args:
        val_share: share of the train file that is held out as the val split. With 0 nothing is held out: all rows are
            trained on, and the val split is the train split again. Use that for a final run, with all options chosen.
        missing: how missing values are treated, see :func:`~seqmodels.data.formats.ts.parse_ts`.
        data_seed: of the draw of the val split.
    """

    target_kind = "classification"
    license = "free for research; cite the archives"
    preparation = Standardization

    val_share: float = 0.2
    missing: Missing = "error"
    data_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share must lie in [0, 1), got {self.val_share}")

    @abstractmethod
    def read(self, part: str) -> SeriesFile:
        """Read the file ``TRAIN`` or ``TEST``."""

    def splits(self) -> Splits[LabelledSeries]:
        train, test = self.read("TRAIN"), self.read("TEST")
        check_pair(train, test)
        names = train.class_names
        labels, test_labels = (torch.tensor([names.index(label) for label in part.labels]) for part in (train, test))
        whole, tested = LabelledSeries(train.series, labels, names), LabelledSeries(test.series, test_labels, names)
        if self.val_share == 0:
            return Splits(whole, whole, tested)
        rows = split_stratified(labels, (1 - self.val_share, self.val_share), self.data_seed)
        if len(rows[0]) == 0:
            raise ValueError(f"the train split is empty: val_share={self.val_share} of {len(labels)} rows leaves none")
        return Splits(whole.take(rows[0]), whole.take(rows[1]), tested)


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
