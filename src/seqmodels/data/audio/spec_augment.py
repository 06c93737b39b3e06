"""Masks over time and frequency, for spectral features."""

import torch
from torch import Generator, Tensor

from seqmodels.data.batch import SequenceBatch, TranscriptBatch
from seqmodels.data.series.augmentation import SeriesAugmentation


class SpecAugment(SeriesAugmentation):
    """Set bands of features and spans of frames to 0, the mean of standardised features (Park et al., 2019).

    arXiv 1904.08779, without its time warping, which :class:`~seqmodels.data.TimeWarp` does. The width of each mask is
    uniform between 0 and its largest, its place arbitrary among the features or the real frames of a recording.

    Args:
        bands: number of masks over features.
        band_width: largest number of features of one.
        spans: number of masks over frames.
        span_width: largest number of frames of one.
        span_share: largest fraction of the frames of a recording of one.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> batch = SequenceBatch(torch.ones(2, 50, 40), torch.tensor([50, 30]), torch.tensor([0, 1]))
        >>> changed = SpecAugment()(batch, torch.Generator().manual_seed(0))
        >>> bool((changed.inputs == 0).any()), changed.inputs.shape
        (True, torch.Size([2, 50, 40]))
    """

    def __init__(
        self, *, bands: int = 2, band_width: int = 8, spans: int = 2, span_width: int = 20, span_share: float = 0.2
    ) -> None:
        for name, value in {"bands": bands, "band_width": band_width, "spans": spans, "span_width": span_width}.items():
            if value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not 0 < span_share <= 1:
            raise ValueError(f"span_share must lie in (0, 1], got {span_share}")
        self.bands = bands
        self.band_width = band_width
        self.spans = spans
        self.span_width = span_width
        self.span_share = span_share

    def change(self, batch: SequenceBatch | TranscriptBatch, generator: Generator) -> Tensor:
        x = batch.inputs
        rows, time, features = x.shape
        all_features = torch.full((rows, 1), features)
        for _ in range(self.bands):
            x = x.masked_fill(_span(all_features, features, self.band_width, 1.0, generator)[:, None], 0)
        for _ in range(self.spans):
            lengths = batch.lengths[:, None]
            x = x.masked_fill(_span(lengths, time, self.span_width, self.span_share, generator)[..., None], 0)
        return x


def _span(lengths: Tensor, places: int, width: int, share: float, generator: Generator) -> Tensor:
    """Return a random span of each row, a mask ``(rows, places)`` within its length ``(rows, 1)``."""
    draws = torch.rand(2, len(lengths), 1, generator=generator)
    largest = (share * lengths).floor().clamp(max=width)
    size = (draws[0] * (largest + 1)).floor()
    start = (draws[1] * (lengths - size + 1)).floor()
    at = torch.arange(places)
    return (at >= start) & (at < start + size)
