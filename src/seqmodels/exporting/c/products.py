"""The product of a row with a weight in C: panels of columns whose sums a compiler keeps in vector registers."""

from collections.abc import Iterator
from typing import NamedTuple

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


def function(*, wide: bool, int8: bool) -> str:
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
