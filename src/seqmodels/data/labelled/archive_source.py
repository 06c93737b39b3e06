"""UCR and UEA archive problems: a train file and a test file with classes."""

from abc import abstractmethod
from dataclasses import dataclass

from seqmodels.data.formats.archives.cases import Missing, SeriesFile
from seqmodels.data.formats.files import DataFile
from seqmodels.data.labelled.series_preparation import Standardization
from seqmodels.data.labelled.series_source import labelled_series
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.source import PublishedSource

REPOSITORIES = (
    "https://raw.githubusercontent.com/aeon-toolkit/aeon/a101ddc8b35a65441609b45c9bcce5aeafa0c131/aeon/datasets/data/",
    "https://raw.githubusercontent.com/sktime/sktime/d083d009d6907fd0c3d5634926edffe7c085faa1/sktime/datasets/data/",
)


def archive_file(archive: str, part: str, size: int, sha256: str, *, folder: str = "") -> DataFile:
    """Describe the file ``TRAIN`` or ``TEST`` of an archive; ``folder`` is a subfolder of the set's folder."""
    name = f"{archive}_{part}.ts"
    return DataFile(f"{folder}{name}", size, sha256, tuple(f"{url}{archive}/{name}" for url in REPOSITORIES))


@dataclass(kw_only=True)
class ArchiveSource(PublishedSource):
    """Time series classification problem with published train and test files.

    The val split is drawn from the train file, stratified by class; the test file is used only as the test split.

    Args:
        val_share: share of the train file held out as the val split. With 0, nothing is held out: all rows are used for
            training, and the val split equals the train split. Use this for a final run, once all options are fixed.
        missing: how to handle missing values, see :func:`~seqmodels.data.formats.archives.cases.parse_cases`.
        data_seed: seed for drawing the val split.
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
        file = self.read("TRAIN")
        whole, tested = (labelled_series(part, file, numeric=False) for part in (file, self.read("TEST")))
        if self.val_share == 0:
            return Splits(whole, whole, tested)
        train, val = whole.split((1 - self.val_share, self.val_share), self.data_seed)
        if len(train.series) == 0:
            rows = len(whole.series)
            raise ValueError(f"the train split is empty: val_share={self.val_share} of {rows} rows leaves none")
        return Splits(train, val, tested)
