"""Handwritten digits of 8 by 8 pixels, read row by row; they come with the package."""

import gzip
from importlib import resources
from typing import Any, ClassVar

import torch

from seqmodels.data.batch import TargetKind
from seqmodels.data.module import SequenceDataModule
from seqmodels.data.numbers import parse_numbers
from seqmodels.data.sequences import SequenceDataset
from seqmodels.data.series_preprocessing import standardization
from seqmodels.data.splits import stratified_split

MEAN, DEVIATION = 4.9, 6.0  # of all pixels


class DigitsData(SequenceDataModule):
    """1797 images in 10 classes: 8 steps, a row of the image each, of 8 standardised pixels.

    A pixel, 0 to 16 as published, has the mean 4.9 of all pixels subtracted and is divided by their deviation 6.0. The
    images are the test part of the UCI set, as scikit-learn carries it. They are parted 70/10/20 into train, val and
    test (1258, 180 and 359 rows), each class alike, by ``data_seed``.
    """

    name = "digits"
    target_kind: ClassVar[TargetKind] = "classification"
    citation = (
        "E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998. "
        "https://doi.org/10.24432/C50P49"
    )
    license = "CC BY 4.0"
    shares = (0.7, 0.1, 0.2)

    def __init__(
        self,
        *,
        data_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, drop_last=drop_last)
        self.data_seed = data_seed

    @property
    def sizes(self) -> dict[str, int]:
        return {"input_size": 8, "output_size": 10, "time": 8}

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")

    @property
    def preprocessing(self) -> dict[str, Any]:
        return standardization([MEAN] * 8, [DEVIATION] * 8)

    def splits(self) -> dict[str, SequenceDataset]:
        packed = resources.files("seqmodels.data").joinpath("digits.csv.gz").read_bytes()
        table = parse_numbers(gzip.decompress(packed).decode("ascii"), "digits.csv")
        images = ((table[:, :64] - MEAN) / DEVIATION).to(torch.float32).reshape(-1, 8, 8)
        labels = table[:, 64].long()
        parts = stratified_split(labels, self.shares, self.data_seed)
        train, val, test = (SequenceDataset(images[rows], labels[rows]) for rows in parts)
        return {"train": train, "val": val, "test": test}
