"""The numbers of an exported model, floats and, of weights in int8, bytes with a scale for each column; their product.

A weight lies in panels of columns whose sums a compiler keeps in vector registers.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

DType = Literal["float32", "int8"]


class Matrix(NamedTuple):
    """Where a weight lies: among the floats, or among the bytes, with its scales among the floats."""

    start: int
    scales: int | None


class Weights:
    """Collects the numbers of a file, in the order in which its functions ask for them.

    Args:
        dtype: of matrices; vectors are always float32.
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype
        self._floats: list[Tensor] = []
        self._bytes: list[Tensor] = []
        self.num_floats = self.num_bytes = 0

    def floats(self, numbers: Tensor) -> int:
        """Add floats; return where they begin."""
        start = self.num_floats
        self._floats.append(numbers.reshape(-1))
        self.num_floats += numbers.numel()
        return start

    def matrix(self, columns: Tensor) -> Matrix:
        """Add a weight ``(depth, width)``, panel by panel; each column has a scale of its own in int8."""
        scales = None
        if self.dtype == "int8":
            quantised, steps = rounded(columns, 0)
            scales, columns = self.floats(steps), quantised
        order = torch.cat([columns[:, p.first : p.first + p.width].reshape(-1) for p in panels(columns.shape[1])])
        return Matrix(self.floats(order) if scales is None else self._more(order), scales)

    def table(self, rows: Tensor) -> Matrix:
        """Add rows ``(number, width)`` of which a step reads one; each has a scale of its own in int8."""
        if self.dtype == "float32":
            return Matrix(self.floats(rows), None)
        quantised, steps = rounded(rows, 1)
        return Matrix(self._more(quantised), self.floats(steps))

    def _more(self, numbers: Tensor) -> int:
        start = self.num_bytes
        self._bytes.append(numbers.reshape(-1))
        self.num_bytes += numbers.numel()
        return start

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all floats, little-endian, and all bytes."""
        floats = torch.cat([*self._floats, torch.zeros(0)]).numpy().astype("<f4")
        return floats, torch.cat([*self._bytes, torch.zeros(0, dtype=torch.int8)]).numpy()


def rounded(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return whole numbers from -127 to 127, and the steps along ``dim`` by which they are multiplied."""
    steps = weight.abs().amax(dim, keepdim=True) / 127
    steps = torch.where(steps > 0, steps, torch.ones_like(steps))
    return (weight / steps).round().clamp(-127, 127).to(torch.int8), steps.reshape(-1)


PANEL = 64
"""Columns of a panel: eight vectors of AVX, as many sums as hide the latency of an addition."""


class Panel(NamedTuple):
    """Columns of a weight that are stored and multiplied together."""

    first: int
    width: int


def panels(width: int) -> Iterator[Panel]:
    """Divide columns into panels; the last may be narrower."""
    for first in range(0, width, PANEL):
        yield Panel(first, min(PANEL, width - first))


def product_function(*, wide: bool, int8: bool) -> str:
    """Return the C function that multiplies a row ``x (depth,)`` with a whole panel, or with a narrower one."""
    weight, scale = ("const int8_t", "const float *restrict s, ") if int8 else ("const float", "")
    entry, factor = ("(float)w[j]", " * s[j]") if int8 else ("w[j]", "")
    begins = f"float *restrict y, {weight} *restrict w, {scale}const float *restrict x, int depth"
    if wide:
        return f"""static void product{PANEL}({begins}) {{
  float sum[{PANEL}] = {{0}};
  for (int k = 0; k < depth; k++, w += {PANEL}) {{
    const float v = x[k];
    for (int j = 0; j < {PANEL}; j++) sum[j] += v * {entry};
  }}
  for (int j = 0; j < {PANEL}; j++) y[j] = sum[j]{factor};
}}"""
    scaled = "\n  for (int j = 0; j < width; j++) y[j] *= s[j];" if int8 else ""
    return f"""static void product({begins}, int width) {{
  for (int j = 0; j < width; j++) y[j] = 0.0f;
  for (int k = 0; k < depth; k++, w += width)
    for (int j = 0; j < width; j++) y[j] += x[k] * {entry};{scaled}
}}"""
