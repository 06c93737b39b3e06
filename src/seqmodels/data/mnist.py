"""MNIST as a sequence: by rows, by pixels, by permuted pixels."""

from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.files import DataFile, load, require
from seqmodels.data.idx import parse_idx
from seqmodels.data.module import PublishedDataModule
from seqmodels.data.sequences import SequenceDataset
from seqmodels.data.series_preprocessing import standardization

Layout = Literal["rows", "pixels", "permuted"]

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


class MNISTData(PublishedDataModule):
    """70000 digits, 28 by 28 pixels, 10 classes: 55000 train, 5000 val (the last of the published 60000), 10000 test.

    Args:
        data_dir: holds the folder ``mnist`` with the four published IDX files, plain or with ``.gz``.
        layout: ``rows`` (28 steps of 28 pixels), ``pixels`` (784 steps of 1, row by row), or ``permuted``: the pixels
            in one random order for all images, ``torch.randperm(784)`` drawn from ``data_seed``. Papers draw their own.
        standardize: subtract the mean of the training pixels and divide by their deviation, after division by 255.
        data_seed: of the permutation.
        download: fetch what is missing.
    """

    name = "mnist"
    target_kind: ClassVar[TargetKind] = "classification"
    folder = "mnist"
    files = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    citation = (
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner. Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86 (11), 1998"
    )
    license = "not stated by its authors; commonly taken as CC BY-SA 3.0"

    def __init__(
        self,
        data_dir: str | Path,
        *,
        layout: Layout = "rows",
        standardize: bool = True,
        data_seed: int = 0,
        download: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            data_dir, download=download, batch_size=batch_size, num_workers=num_workers, seed=seed, drop_last=drop_last
        )
        if layout not in get_args(Layout):
            raise ValueError(f"layout must be one of {', '.join(get_args(Layout))}, got {layout!r}")
        self.layout = layout
        self.standardize = standardize
        self.data_seed = data_seed

    @property
    def sizes(self) -> dict[str, int]:
        time, input_size = (28, 28) if self.layout == "rows" else (784, 1)
        return {"input_size": input_size, "output_size": 10, "time": time}

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Steps of pixels in 0 to 255, in the order of ``layout``."""
        size = self.sizes["input_size"]
        mean, deviation = (MEAN, DEVIATION) if self.standardize else (0.0, 1.0)
        return standardization([255 * mean] * size, [255 * deviation] * size)

    def splits(self) -> dict[str, SequenceDataset]:
        require(self.path, self.files)
        inputs, targets = self._part(TRAIN_IMAGES, TRAIN_LABELS)
        test = SequenceDataset(*self._part(TEST_IMAGES, TEST_LABELS))
        train = SequenceDataset(inputs[:-VAL_ROWS], targets[:-VAL_ROWS])
        val = SequenceDataset(inputs[-VAL_ROWS:], targets[-VAL_ROWS:])
        return {"train": train, "val": val, "test": test}

    def _part(self, images: DataFile, labels: DataFile) -> tuple[Tensor, Tensor]:
        pixels = parse_idx(load(self.path, images), images.name)
        classes = parse_idx(load(self.path, labels), labels.name)
        inputs = as_sequences(pixels, self.layout, self.data_seed).div(255)
        return inputs.sub_(MEAN).div_(DEVIATION) if self.standardize else inputs, classes.long()


def as_sequences(images: Tensor, layout: Layout, seed: int) -> Tensor:
    """Lay images ``(rows, height, width)`` out as sequences ``(rows, time, input)``."""
    if layout == "rows":
        return images
    pixels = images.flatten(1)
    if layout == "permuted":
        pixels = pixels[:, torch.randperm(pixels.shape[1], generator=torch.Generator().manual_seed(seed))]
    return pixels.unsqueeze(-1)
