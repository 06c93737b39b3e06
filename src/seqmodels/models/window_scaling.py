"""Separate normalisation of each window, so that a forecaster learns changes, whatever the level."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Normalization = Literal["none", "last", "window"]


class Scaled(NamedTuple):
    """Normalised inputs, and how to undo it: ``value * scale + location``."""

    inputs: Tensor  # (batch, time, input)
    location: Tensor  # (batch, 1, output)
    scale: Tensor  # (batch, 1, output)


def check_normalization(normalization: str) -> None:
    """Raise ``ValueError`` unless it is one of the choices."""
    if normalization not in get_args(Normalization):
        raise ValueError(f"normalization must be one of {', '.join(get_args(Normalization))}, got {normalization!r}")


def scaled(inputs: Tensor, output_size: int, normalization: Normalization) -> Scaled:
    """Normalise the first ``output_size`` features of ``inputs (batch, time, input)``, each window separately.

    ``last`` subtracts the last value; ``window`` subtracts the window's mean and divides by its standard deviation (Kim
    et al., 2022, without weights); a window that is constant up to rounding is divided by 1.
    """
    series, others = inputs[..., :output_size], inputs[..., output_size:]
    location, scale = torch.zeros_like(series[:, :1]), torch.ones_like(series[:, :1])
    if normalization == "last":
        location = series[:, -1:]
    elif normalization == "window":
        location = series.mean(1, keepdim=True)
        deviation = series.std(1, keepdim=True, correction=0)
        scale = torch.where(deviation > 1e-5 * location.abs().clamp_min(1), deviation, scale)
    return Scaled(torch.cat([(series - location) / scale, others], -1), location, scale)
