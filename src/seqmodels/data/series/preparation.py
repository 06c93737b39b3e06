"""Labelled series as tensors, scaled per channel."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqmodels.data.formats.ts import Missing
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.sequences import RaggedDataset, SequenceDataset, Sequences
from seqmodels.data.series.preprocessing import SeriesPreprocessing
from seqmodels.data.series.scaling import Scaling, fit_scaling
from seqmodels.system.names import public_name


@dataclass(kw_only=True)
class SeriesPreparation(Preparation):
    """Labelled sequences; each channel has a mean subtracted and is divided by a deviation."""

    mean: ClassVar[float] = 0.0
    deviation: ClassVar[float] = 1.0

    def scaling(self, train: LabelledSeries) -> Scaling:
        """Return mean and deviation of each channel; by default, constants of the class."""
        channels = train.series[0].shape[-1]
        return Scaling.of([self.mean] * channels, [self.deviation] * channels)

    def scaled(self, series: Tensor, scaling: Scaling) -> Tensor:
        """Return series ``(..., channels)`` scaled, as float32."""
        return scaling.apply(series.double()).float()

    def prepare(self, splits: Splits[LabelledSeries]) -> Prepared:
        train = splits.train
        if len(train.series) == 0:
            raise ValueError("the train split is empty")
        scaling = self.scaling(train)
        datasets = Splits(*(self._dataset(part, scaling) for part in splits))
        label = train.labels[0]
        outputs = len(train.class_names) or (label.shape[-1] if label.dim() else 1)
        sizes = {"input_size": len(scaling.mean), "output_size": outputs}
        lengths = {int(length) for split in datasets for length in split.lengths.unique()}
        if len(lengths) == 1:
            sizes["time"] = lengths.pop()
        return Prepared(datasets, sizes, self.node(scaling), train.class_names)

    def node(self, scaling: Scaling) -> dict[str, Any]:
        """Return the preprocessing node for new series."""
        statistics = {"mean": scaling.mean.tolist(), "deviation": scaling.deviation.tolist()}
        return {"_target_": public_name(SeriesPreprocessing), **statistics}

    def _dataset(self, part: LabelledSeries, scaling: Scaling) -> Sequences:
        if isinstance(part.series, Tensor):
            assert isinstance(part.labels, Tensor)
            return SequenceDataset(self.scaled(part.series, scaling), part.labels, part.lengths)
        return RaggedDataset([self.scaled(series, scaling) for series in part.series], part.labels)


@dataclass(kw_only=True)
class Unscaled(SeriesPreparation):
    """Unscaled series."""


@dataclass(kw_only=True)
class Standardization(SeriesPreparation):
    """Standardise each channel by its mean and deviation over all steps of the train split.

    Args:
        standardize: whether to standardise; univariate archive problems are already standardised per row.
        missing: how to handle missing values of new series; the source does the same for its own.
    """

    standardize: bool = True
    missing: Missing = "error"

    def scaling(self, train: LabelledSeries) -> Scaling:
        return fit_scaling(torch.cat(list(train.series)), standardize=self.standardize)

    def node(self, scaling: Scaling) -> dict[str, Any]:
        return {**super().node(scaling), "missing": self.missing}
