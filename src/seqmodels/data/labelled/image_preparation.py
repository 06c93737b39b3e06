"""Labelled images as sequences of rows or pixels, with all pixels on one scale."""

from dataclasses import dataclass

import torch

from seqmodels.data.labelled.image_preprocessing import ImagePreprocessing, Layout
from seqmodels.data.labelled.series_preparation import SeriesPreparation
from seqmodels.data.raw import LabelledSeries

BYTE = 255  # the largest value of a pixel in a file of bytes


@dataclass(kw_only=True)
class PixelStandardization(SeriesPreparation):
    """Pixels as float32: bytes divided by 255, then all standardised by one mean and one deviation.

    Args:
        standardize: subtract the mean of the training pixels and divide by their deviation.
        layout, data_seed: as in the source, for new images.
    """

    standardize: bool = True
    layout: Layout = "rows"
    data_seed: int = 0

    def fit(self, train: LabelledSeries) -> ImagePreprocessing:
        pixels = train.series
        assert isinstance(pixels, torch.Tensor)
        largest = BYTE if pixels.dtype == torch.uint8 else 1
        mean, deviation = 0.0, 1.0
        if self.standardize:
            spread, centre = torch.std_mean(pixels.float(), correction=0)
            mean, deviation = float(centre) / largest, float(spread) / largest or 1.0  # images of one grey become 0
        _, steps, features = pixels.shape
        return ImagePreprocessing(
            steps=steps,
            features=features,
            largest=largest,
            mean=mean,
            deviation=deviation,
            layout=self.layout,
            seed=self.data_seed,
        )
