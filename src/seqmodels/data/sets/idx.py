"""Images and classes from your own files in the IDX format, the format of MNIST."""

import logging
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.files import whole_content
from seqmodels.data.formats.idx import parse_idx
from seqmodels.data.labelled.image_preparation import PixelStandardization
from seqmodels.data.labelled.image_preprocessing import Layout, as_sequences, check_layout
from seqmodels.data.labelled.targets import class_targets
from seqmodels.data.raw import LabelledSeries, Splits
from seqmodels.data.source import Source

log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class IDXData(Source):
    """Images of any size, with any number of classes, from IDX files of images and of labels, plain or ``.gz``.

    Args:
        images: array ``(images, height, width)``, ``(images, height, width, channels)`` or ``(images, time)``.
        labels: one whole number per image, its class.
        test_images, test_labels: those of the test split; drawn from ``images`` if None.
        val_share, test_share: share of ``images`` to draw for a split without its own files, stratified by class.
        layout: ``rows`` (a step is a row of pixels), ``pixels`` (a step is one pixel, row by row), or ``permuted``:
            pixels in one random order shared by all images, seeded by ``data_seed``.
        data_seed: seed of the draw and of the order.
    """

    name = "idx"
    target_kind = "classification"
    citation = "your own data"
    license = "your own"
    preparation = PixelStandardization

    images: str | Path
    labels: str | Path
    test_images: str | Path | None = None
    test_labels: str | Path | None = None
    val_share: float = 0.1
    test_share: float = 0.1
    layout: Layout = "rows"
    data_seed: int = 0

    def __post_init__(self) -> None:
        check_layout(self.layout)
        if (self.test_images is None) != (self.test_labels is None):
            raise ValueError("test_images and test_labels must be given together")
        shares = self._shares()
        if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
            raise ValueError(f"the shares must lie in (0, 1) and leave something to train with, got {shares}")

    def _shares(self) -> dict[str, float]:
        """Return the shares of the splits drawn from ``images``."""
        return {"val": self.val_share} | ({"test": self.test_share} if self.test_images is None else {})

    def splits(self) -> Splits[LabelledSeries]:
        whole = self._read(self.images, self.labels)
        shares = self._shares()
        drawn = whole.split((1 - sum(shares.values()), *shares.values()), self.data_seed)
        parts = dict(zip(("train", *shares), drawn, strict=True))
        if self.test_images is not None and self.test_labels is not None:
            parts["test"] = self._read(self.test_images, self.test_labels, whole.class_names)
        return Splits(**parts)

    def _read(
        self, images: str | Path, labels: str | Path, class_names: tuple[str, ...] | None = None
    ) -> LabelledSeries:
        pixels, classes = (parse_idx(whole_content(path), str(path)) for path in (images, labels))
        if classes.dim() != 1 or classes.is_floating_point():
            raise ValueError(f"{labels}: labels must be one whole number per image, got sizes {tuple(classes.shape)}")
        if len(pixels) != len(classes):
            raise ValueError(f"{labels}: {len(classes)} labels, but {images} has {len(pixels)} images")
        try:
            series = as_sequences(pixels, self.layout, self.data_seed)
        except ValueError as error:
            raise ValueError(f"{images}: {error}") from error
        names = class_names or tuple(map(str, classes.unique().tolist()))
        log.info(
            "%s: %d images of %s, %s",
            images,
            len(pixels),
            " by ".join(map(str, pixels.shape[1:])),
            f"{len(names)} classes",
        )
        places = (f"{labels}, image {number}" for number in range(1, len(classes) + 1))
        return LabelledSeries(series, class_targets(classes.tolist(), places, names), names)
