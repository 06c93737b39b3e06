"""Labelled images as sequences of rows or pixels, with all pixels on one scale."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from seqmodels.data.labelled.image_preprocessing import ImagePreprocessing, Layout
from seqmodels.data.labelled.preparation import SeriesPreparation
from seqmodels.data.raw import LabelledSeries

BYTE = 255  # the largest value of a pixel in a file of bytes


@dataclass(kw_only=True)
class ImagePreparation(SeriesPreparation, ABC):
    """Pixels as float32: bytes divided by 255, then all standardised by one mean and one deviation.

    Args:
        standardize: subtract the mean of the training pixels and divide by their deviation.
        layout, data_seed: as in the source, for new images.
    """

    standardize: bool = True
    layout: Layout = "rows"
    data_seed: int = 0

    @abstractmethod
    def statistics(self, pixels: Tensor) -> tuple[float, float]:
        """Return mean and deviation of the training pixels, after a division of bytes by 255."""

    def fit(self, train: LabelledSeries) -> ImagePreprocessing:
        assert isinstance(train.series, Tensor)
        largest = BYTE if train.series.dtype == torch.uint8 else 1
        mean, deviation = self.statistics(train.series) if self.standardize else (0.0, 1.0)
        _, steps, features = train.series.shape
        return ImagePreprocessing(
            steps=steps,
            features=features,
            largest=largest,
            mean=mean,
            deviation=deviation,
            layout=self.layout,
            seed=self.data_seed,
        )


@dataclass(kw_only=True)
class PixelStandardization(ImagePreparation):
    """Pixels standardised by the mean and deviation of all training pixels, see :class:`ImagePreparation`."""

    def statistics(self, pixels: Tensor) -> tuple[float, float]:
        largest = BYTE if pixels.dtype == torch.uint8 else 1
        deviation, mean = torch.std_mean(pixels.float(), correction=0)
        # images of one grey become 0
        return float(mean) / largest, float(deviation) / largest or 1.0
