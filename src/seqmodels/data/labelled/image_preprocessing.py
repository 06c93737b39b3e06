"""Preprocessing of images: a layout as a sequence, and one scale for all pixels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from seqmodels.data.formats.files import shown_name, whole_content
from seqmodels.data.formats.idx import parse_idx
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.labelled.preprocessing import LabelledPreprocessing
from seqmodels.data.labelled.series_preprocessing import filled_field
from seqmodels.data.labelled.targets import TargetFields
from seqmodels.data.preprocessing import is_array, listed

Layout = Literal["rows", "pixels", "permuted"]
CHANNELS = 4  # at most, in the last dimension of an array of colour images


def check_layout(layout: str) -> None:
    """Raise ``ValueError`` if there is no such layout."""
    if layout not in get_args(Layout):
        raise ValueError(f"layout must be one of {', '.join(get_args(Layout))}, got {layout!r}")


def as_sequences(images: Tensor, layout: Layout, seed: int = 0) -> Tensor:
    """Reshape images to sequences ``(rows, time, input)``.

    Args:
        images: ``(rows, height, width)``, ``(rows, height, width, channels)`` with at most 4 channels, or plain
            sequences ``(rows, time)``.
        layout: ``rows``: each step is a row of pixels; ``pixels``: each step is one pixel, row by row; ``permuted``:
            one pixel, in one random order shared by all images.
        seed: seed of that order, ``torch.randperm``.

    Raises:
        ValueError: the images have other dimensions.
    """
    if images.dim() not in (2, 3, 4) or (images.dim() == 4 and images.shape[-1] > CHANNELS):
        raise ValueError(
            "images must be an array (images, height, width), or (images, height, width, channels) with at most "
            f"{CHANNELS} channels, got {tuple(images.shape)}"
        )
    if images.dim() == 2:
        images = images.unsqueeze(-1)  # a row of one pixel per step
    if layout == "rows":
        return images.flatten(2)
    pixels = images.flatten(1, 2)
    if layout == "permuted":
        pixels = pixels[:, torch.randperm(pixels.shape[1], generator=torch.Generator().manual_seed(seed))]
    return pixels if pixels.dim() == 3 else pixels.unsqueeze(-1)


@dataclass(kw_only=True)
class ImagePreprocessing(LabelledPreprocessing):
    """A record's field ``image`` (or ``text``) as a sequence of rows or pixels, scaled like the training images.

    The field is a list of rows, each a list of pixels (or of colours), as JSON. ``series`` instead has the steps of an
    image already laid out. Files in the IDX format, with ``idx`` in their name, are read too.

    Args:
        steps, features: length and number of inputs of the sequences.
        largest: pixels are divided by this first.
        mean, deviation: of all pixels then, from the training data.
        layout, seed: as in :func:`as_sequences`.
        target: field of the class of a labelled record.

    Example:
        >>> fitted = ImagePreprocessing(steps=4, features=1, largest=255, mean=0.0, deviation=0.5, layout="pixels")
        >>> fitted.encode({"image": [[0, 255], [255, 0]]}).flatten().tolist()
        [0.0, 2.0, 2.0, 0.0]
    """

    steps: int
    features: int
    largest: int = 1
    mean: float = 0.0
    deviation: float = 1.0
    layout: Layout = "rows"
    seed: int = 0
    target: str = "label"

    def __post_init__(self) -> None:
        check_layout(self.layout)
        if not (self.deviation > 0 and self.largest > 0):
            raise ValueError(f"deviation and largest must be positive, got {self.deviation} and {self.largest}")
        self.targets = TargetFields.of([self.target])

    def scaled(self, series: Tensor) -> Tensor:
        """Return pixels scaled, as float32; not by way of float64, which would take eight times the memory of bytes."""
        return series.float().div(self.largest).sub_(self.mean).div_(self.deviation)

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        if format != "idx" and (format is not None or "idx" not in Path(path).name):
            yield from super().read(path, format)
            return
        name = shown_name(path)
        for number, image in enumerate(parse_idx(whole_content(path), name), start=1):
            yield Record(f"{name}, image {number}", {"image": image})

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for an image, an array ``(height, width)`` or ``(height, width, channels)``."""
        return {"image": listed(value)} if is_array(value) else super().fields_of(value)

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the sequence of an image, ``(time, input)``."""
        laid_out = record.get("series") is not None
        field = "series" if laid_out else filled_field(record, "image")
        pixels = _pixels(record[field], field)
        sequence = pixels if laid_out else as_sequences(pixels.unsqueeze(0), self.layout, self.seed)[0]
        if sequence.shape != (self.steps, self.features):
            wanted = f"{self.steps} steps of {self.features} as {self.layout}"
            raise ValueError(f"{field}: must be an image of {wanted}, got {' by '.join(map(str, pixels.shape))} pixels")
        return self.scaled(sequence)


def _pixels(value: Any, field: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    nested = parsed_json(value, f"{field} ({value!r:.60})") if isinstance(value, str) else value
    try:
        pixels = torch.tensor(nested, dtype=torch.float32)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{field}: must be rows of pixels of equal length, all numbers, got {value!r:.60}") from error
    if pixels.dim() < 1 or not bool(pixels.isfinite().all()):
        raise ValueError(f"{field}: must be rows of finite numbers, got {value!r:.60}")
    return pixels
