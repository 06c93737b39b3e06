"""What a network has read, as a person would look at it: a text, series or a picture of bounded size."""

import math
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.labelled.image_preprocessing import ImagePreprocessing

LETTERS = 1500  # of a text
STEPS = 300  # of a series
CHANNELS = 6  # that are drawn as lines; more make a picture
PIXELS = (96, 64)  # of a picture, steps and channels
DIGITS = 4

Shown = dict[str, Any]


def shown_input(values: Tensor, preprocessing: Any = None) -> Shown:
    """Return the input of a row without padding as plain data.

    Args:
        values: ``(time, input)``, or tokens ``(time,)``.
        preprocessing: that of the data, which may have a vocabulary or a layout of images.

    Returns:
        One of ``text``, ``series`` (a list of values for each channel, with the ``step`` between them) and ``image`` (a
        list of rows), of bounded size.

    Example:
        >>> shown_input(torch.tensor([[1.0], [2.0]]))
        {'series': [[1.0, 2.0]], 'step': 1}
    """
    values = values.cpu()
    if not values.is_floating_point():
        vocabulary = getattr(preprocessing, "vocabulary", None)
        tokens = values.tolist()
        return {"text": shortened(vocabulary.decode(tokens) if vocabulary is not None else " ".join(map(str, tokens)))}
    if isinstance(preprocessing, ImagePreprocessing):
        return {"image": _picture(_image(values, preprocessing))}
    if values.shape[1] > CHANNELS:
        return {"image": _picture(values.T)}
    step = -(-len(values) // STEPS)
    return {"series": [rounded(channel) for channel in values[::step].T], "step": step}


def shortened(text: str) -> str:
    """Return a text, or its beginning if it is long."""
    return text if len(text) <= LETTERS else f"{text[:LETTERS]} …"


def rounded(values: Tensor) -> list[float]:
    """Return numbers ``(values,)`` with four digits."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def _image(values: Tensor, layout: ImagePreprocessing) -> Tensor:
    """Return an image as it was before it became a sequence, if its pixels have one colour and it is square."""
    steps, features = values.shape
    if layout.layout == "rows" or features > 1 or math.isqrt(steps) ** 2 != steps:
        return values
    if layout.layout == "permuted":
        order = torch.randperm(steps, generator=torch.Generator().manual_seed(layout.seed))
        values = torch.empty_like(values).index_copy_(0, order, values)
    return values.view(math.isqrt(steps), -1)


def _picture(image: Tensor) -> list[list[float]]:
    rows, columns = (-(-size // most) for size, most in zip(image.shape, PIXELS, strict=True))
    return [rounded(row) for row in image[::rows, ::columns]]
