"""Handwritten digits of 8 by 8 pixels, read row by row; bundled with the package."""

import gzip
from dataclasses import dataclass
from importlib import resources

from seqmodels.data.formats.numbers import parse_numbers
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.series_preparation import SeriesPreparation, fit_series
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.series.scaling import Scaling
from seqmodels.data.source import Source
from seqmodels.data.splitting import split_stratified

MEAN, DEVIATION = 4.9, 6.0  # of all pixels


@dataclass(kw_only=True)
class DigitsPreparation(SeriesPreparation):
    """Pixels standardised with mean 4.9 and deviation 6.0."""

    def fit(self, train: LabelledSeries) -> LabelledPreprocessing:
        channels = train.series[0].shape[-1]
        return fit_series(train, Scaling.of([MEAN] * channels, [DEVIATION] * channels))


@dataclass(kw_only=True)
class DigitsData(Source):
    """1797 images in 10 classes: 8 steps, one image row of 8 pixels from 0 to 16 each.

    The images are the test part of the UCI set, as shipped with scikit-learn. They are split 70/10/20 into train, val
    and test (1258, 180 and 359 rows), stratified by class, by ``data_seed``.

    Example:
        >>> train, val, test = DigitsData().splits()
        >>> train.series.shape, train.labels[:5].tolist()
        (torch.Size([1258, 8, 8]), [1, 2, 5, 6, 7])
    """

    name = "digits"
    target_kind = "classification"
    citation = (
        "E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998. "
        "https://doi.org/10.24432/C50P49"
    )
    license = "CC BY 4.0"
    preparation = DigitsPreparation

    data_seed: int = 0

    def splits(self) -> Splits[LabelledSeries]:
        packed = resources.files("seqmodels.data.sets").joinpath("digits.csv.gz").read_bytes()
        table = parse_numbers(gzip.decompress(packed).decode("ascii"), "digits.csv")
        labels = table[:, 64].long()
        digits = LabelledSeries(table[:, :64].reshape(-1, 8, 8), labels, tuple("0123456789"))
        return Splits(*(digits.take(rows) for rows in split_stratified(labels, (0.7, 0.1, 0.2), self.data_seed)))
