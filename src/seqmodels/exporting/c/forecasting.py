"""What forecasters have beside recurrent layers: normalised windows, a known future, groups, their own forecasts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from seqmodels.exporting.c.weights import Matrix
from seqmodels.models import DirectForecaster, RecursiveForecaster, SegmentForecaster
from seqmodels.models.likelihoods import Likelihood

if TYPE_CHECKING:
    from seqmodels.exporting.c.segments import Segments


@dataclass(frozen=True)
class Forecasting:
    """How a window is read and forecast.

    Attributes:
        normalization: of the first ``series`` features over the window; its location and scale are the last inputs of
            the output layer.
        series: how many are forecast.
        horizon: steps to forecast.
        known: numbers known of each of them, which the output layer reads after the features: of all steps at once, or
            of one after the other.
        static: features of the group, which every step reads.
        vectors: learnt features of each group ``(groups, size)``, which every step reads after them.
        params: numbers of a forecast for a step.
        recursive: whether each step reads the forecast of the one before, and what is known of that.
        segments: of a network that reads and forecasts segments.
    """

    normalization: Literal["none", "last", "window"]
    series: int
    horizon: int
    known: int
    static: int
    vectors: Tensor | None
    params: int
    recursive: bool
    segments: "Segments | None" = None

    @property
    def group(self) -> int:
        """Features of a group."""
        return self.static + (0 if self.vectors is None else self.vectors.shape[1])

    @property
    def beside(self) -> int:
        """Numbers that a state keeps of the future and the group."""
        return self.horizon * self.known + self.group

    @property
    def known_at_once(self) -> int:
        return self.known * (1 if self.recursive else self.horizon)

    @property
    def scaling(self) -> int:
        """Numbers for location and scale in the input of the output layer."""
        return 0 if self.normalization == "none" else 2 * self.series


class Head(nn.Module):
    """The output layer of a forecaster: of features, what is known, location and scale side by side.

    It returns parameters for the unit of the data, and of a recursive forecaster also its point forecasts, normalised.
    """

    def __init__(self, model: DirectForecaster | RecursiveForecaster | SegmentForecaster, part: Forecasting) -> None:
        super().__init__()
        self.read_out = model.read_out
        self.likelihood: Likelihood = model.likelihood
        self.part = part
        self.steps = 1 if part.recursive else part.horizon

    def forward(self, x: Tensor) -> Tensor:
        size, scaled = self.part.series, self.part.normalization != "none"
        features = x[:, : -2 * size] if scaled else x
        params = self.read_out(features).view(-1, self.steps, size, self.likelihood.size)
        params = shifted = self.likelihood.constrained(params)
        if scaled:
            location, scale = x[:, None, -2 * size : -size], x[:, None, -size:]
            shifted = self.likelihood.shifted(params, location, scale)
        if not self.part.recursive:
            return shifted.flatten(1)
        return torch.cat([shifted.flatten(1), self.likelihood.point(params).flatten(1)], 1)


def context(name: str, part: Forecasting, vectors: Matrix | None) -> Iterator[str]:
    """Yield the function that sets what is known of the future and of the group."""
    future = part.horizon * part.known
    yield f"int {name}_context({name}_state *s, const float *known, const float *fixed, int32_t group) {{"
    yield f"  if (group < 0 || group >= {1 if part.vectors is None else len(part.vectors)}) return 1;"
    for pointer, start, size in (("known", 0, future), ("fixed", future, part.static)):
        yield f"  memcpy(s->beside + {start}, {pointer}, {size} * sizeof(float));" if size else f"  (void){pointer};"
    if part.vectors is not None and vectors is not None:
        size, place = part.vectors.shape[1], f"s->beside[{future + part.static} + j]"
        entry = f"[{vectors.start} + group * {size} + j]"
        value = f"s->floats{entry}"
        if vectors.scales is not None:
            value = f"(float)s->bytes{entry} * s->floats[{vectors.scales} + group]"
        yield f"  for (int j = 0; j < {size}; j++) {place} = {value};"
    yield "  return 0;\n}"


def normalised(part: Forecasting, inputs: int, location: str, target: str) -> Iterator[str]:
    """Yield the normalisation of each series of a window; its location and scale go to the output layer.

    Args:
        part: of the forecaster.
        inputs: features of a step of ``x``.
        location: memory for the location, which the scale follows.
        target: the row of step ``t``.
    """
    count = part.series
    yield f"  float *location = {location}, *scale = {location} + {count};"
    yield f"  for (int j = 0; j < {count}; j++) {{"
    if part.normalization == "last":
        yield f"    location[j] = x[(steps - 1) * {inputs} + (size_t)j];\n    scale[j] = 1.0f;"
    else:
        at = f"x[t * {inputs} + (size_t)j]"
        yield "    double mean = 0, squares = 0;"
        yield f"    for (size_t t = 0; t < steps; t++) mean += (double){at};"
        yield "    mean /= (double)steps;"
        yield f"    for (size_t t = 0; t < steps; t++) squares += ((double){at} - mean) * ((double){at} - mean);"
        yield "    const double deviation = sqrt(squares / (double)steps), size = fabs(mean) > 1 ? fabs(mean) : 1;"
        yield "    location[j] = (float)mean;"
        yield "    scale[j] = deviation > 1e-5 * size ? (float)deviation : 1.0f;"
    yield "  }"
    yield f"  for (size_t t = 0; t < steps; t++)\n    for (int j = 0; j < {inputs}; j++) {{"
    yield f"      const float v = x[t * {inputs} + (size_t)j];"
    yield f"      ({target})[j] = j < {count} ? (v - location[j]) / scale[j] : v;"
    yield "    }"


def recursion(part: Forecasting, features: int, row: str, own: str, call: str) -> Iterator[str]:
    """Yield the forecast of one step after the other.

    Args:
        part: of the forecaster.
        features: of the recurrent layers.
        row: memory for the input of the output layer, which holds location and scale.
        own: memory for its output.
        call: of the output layer.
    """
    params, known = part.params, part.known
    yield f"  for (size_t h = 0; h < {part.horizon}; h++) {{"
    yield f"    memcpy({row}, s->pool, {features} * sizeof(float));"
    if known:
        yield f"    memcpy({row} + {features}, s->beside + h * {known}, {known} * sizeof(float));"
    yield f"    {call}"
    yield f"    memcpy(y + h * {params}, {own}, {params} * sizeof(float));"
    yield f"    if (h + 1 < {part.horizon}) {{"
    if known:  # the input of a step is its value and what is known of it; side by side, as advance reads them
        after = f"{own} + {params + part.series}"
        yield f"      memcpy({after}, s->beside + h * {known}, {known} * sizeof(float));"
    yield f"      advance(s, {own} + {params});"
    yield "    }\n  }"
