"""Sequential MNIST: rows, pixels or permuted pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqmodels.data.formats.files import DataFile, load, require
from seqmodels.data.formats.idx import parse_idx
from seqmodels.data.labelled.image_preprocessing import Layout, as_sequences, check_layout
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.series_preparation import SeriesPreparation, fit_series
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.sequences import SequenceDataset, Sequences
from seqmodels.data.series.scaling import Scaling
from seqmodels.data.source import PublishedSource

MEAN, DEVIATION = 0.1307, 0.3081  # of all training pixels, after division by 255
VAL_ROWS = 5000
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def _file(name: str, size: int, sha256: str) -> DataFile:
    return DataFile(name, size, sha256, tuple(f"{mirror}{name}.gz" for mirror in MIRRORS))


TRAIN_IMAGES = _file(
    "train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
)
TRAIN_LABELS = _file(
    "train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
)
TEST_IMAGES = _file(
    "t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
)
TEST_LABELS = _file("t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2")


@dataclass(kw_only=True)
class MNISTPreparation(SeriesPreparation):
    """Pixels scaled to [0, 1], then standardised.

    Args:
        standardize: subtract the mean of the training pixels and divide by their deviation, after division by 255.
    """

    standardize: bool = True

    def fit(self, train: LabelledSeries) -> LabelledPreprocessing:
        channels = train.series[0].shape[-1]
        mean, deviation = (MEAN, DEVIATION) if self.standardize else (0.0, 1.0)
        return fit_series(train, Scaling.of([255 * mean] * channels, [255 * deviation] * channels))

    def dataset(self, part: LabelledSeries, fitted: LabelledPreprocessing) -> Sequences:  # noqa: ARG002
        """Return a split in the scale of the preprocessing, computed in float32 to need half of the memory."""
        assert isinstance(part.series, Tensor)
        assert isinstance(part.labels, Tensor)
        pixels = part.series.div(255)
        return SequenceDataset(pixels.sub_(MEAN).div_(DEVIATION) if self.standardize else pixels, part.labels)


@dataclass(kw_only=True)
class MNISTData(PublishedSource):
    """70000 digits, 28 by 28 pixels, 10 classes: 55000 train, 5000 val (last of the published 60000), 10000 test.

    Args:
        layout: ``rows`` (28 steps of 28 pixels), ``pixels`` (784 steps of 1, row by row), or ``permuted``: pixels in
            one random order shared by all images, ``torch.randperm(784)`` seeded by ``data_seed``; papers differ.
        data_seed: seed of the permutation.
    """

    name = "mnist"
    target_kind = "classification"
    folder = "mnist"
    files = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    citation = (
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner. Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86 (11), 1998"
    )
    license = "not stated by its authors; commonly taken as CC BY-SA 3.0"
    preparation = MNISTPreparation

    layout: Layout = "rows"
    data_seed: int = 0

    def __post_init__(self) -> None:
        check_layout(self.layout)

    def splits(self) -> Splits[LabelledSeries]:
        require(self.set_folder, self.files)
        whole = self._part(TRAIN_IMAGES, TRAIN_LABELS)
        rows = torch.arange(len(whole.series))
        train, val = whole.take(rows[:-VAL_ROWS]), whole.take(rows[-VAL_ROWS:])
        return Splits(train, val, self._part(TEST_IMAGES, TEST_LABELS))

    def _part(self, images: DataFile, labels: DataFile) -> LabelledSeries:
        pixels = parse_idx(load(self.set_folder, images), images.name)
        classes = parse_idx(load(self.set_folder, labels), labels.name)
        return LabelledSeries(as_sequences(pixels, self.layout, self.data_seed), classes.long(), tuple("0123456789"))
