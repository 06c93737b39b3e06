"""Labelled series as tensors, scaled per channel."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.archives.cases import Missing
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.series_preprocessing import SeriesPreprocessing
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.sequences import Sequences
from seqmodels.data.series.scaling import Scaling, fit_scaling


@dataclass(kw_only=True)
class SeriesPreparation(Preparation, ABC):
    """Labelled sequences, scaled by a preprocessing that is fitted on the train split."""

    @abstractmethod
    def fit(self, train: LabelledSeries) -> LabelledPreprocessing:
        """Return the preprocessing, fitted on the train split."""

    def dataset(self, part: LabelledSeries, fitted: LabelledPreprocessing) -> Sequences:
        """Return a split as tensors."""
        return fitted.dataset(part)

    def prepare(self, splits: Splits[LabelledSeries]) -> Prepared:
        train = splits.train
        if len(train.series) == 0:
            raise ValueError("the train split is empty")
        fitted = self.fit(train)
        datasets = splits.map(lambda part: self.dataset(part, fitted))
        label = train.labels[0]
        outputs = len(train.class_names) or (label.shape[-1] if label.dim() else 1)
        sizes: dict[str, Any] = {"input_size": int(train.series[0].shape[-1]), "output_size": outputs}
        lengths = {int(length) for split in datasets if split is not None for length in split.lengths.unique()}
        if len(lengths) == 1:
            sizes["time"] = lengths.pop()
        if train.target_names:
            sizes |= fitted.targets.sizes
        return Prepared(datasets, sizes, fitted.node, train.class_names)


def fit_series(train: LabelledSeries, scaling: Scaling, missing: Missing = "error") -> SeriesPreprocessing:
    """Return the preprocessing for a scaling of the channels; target numbers with a unit are standardised."""
    mean, deviation = scaling.mean.tolist(), scaling.deviation.tolist()
    if not train.target_names:
        return SeriesPreprocessing(mean=mean, deviation=deviation, missing=missing)
    assert isinstance(train.labels, Tensor)
    targets = fit_scaling(train.labels)
    return SeriesPreprocessing(
        mean=mean,
        deviation=deviation,
        missing=missing,
        target=train.target_names[0],
        target_mean=targets.mean.tolist(),
        target_deviation=targets.deviation.tolist(),
    )


@dataclass(kw_only=True)
class Unscaled(SeriesPreparation):
    """Unscaled series."""

    def fit(self, train: LabelledSeries) -> LabelledPreprocessing:
        channels = train.series[0].shape[-1]
        return fit_series(train, Scaling.of([0.0] * channels, [1.0] * channels))


@dataclass(kw_only=True)
class Standardization(SeriesPreparation):
    """Standardise each channel by its mean and deviation over all steps of the train split.

    Args:
        standardize: whether to standardise; univariate archive problems are already standardised per row.
        missing: how to handle missing values of new series; the source does the same for its own.
    """

    standardize: bool = True
    missing: Missing = "error"

    def fit(self, train: LabelledSeries) -> LabelledPreprocessing:
        scaling = fit_scaling(torch.cat(list(train.series)), standardize=self.standardize)
        return fit_series(train, scaling, self.missing)
