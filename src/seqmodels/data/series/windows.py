"""Windows over series, cut when they are asked for: a split of them takes no memory beyond the series."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class ForecastBatch(NamedTuple):
    """Stretches of series and what follows them, on the scale of the training part."""

    inputs: Tensor  # (batch, time, input)  first the series to forecast, then other features, then the calendar
    known: Tensor  # (batch, horizon, known)  what is known of the future: the calendar; perhaps 0 numbers a step
    targets: Tensor  # (batch, horizon, output)  the series to forecast
    times: Tensor  # (batch, horizon)  seconds since 1970, or numbers of steps where the data have no time


class Span(NamedTuple):
    """The steps of a split: targets lie from ``first`` to before ``end``, inputs from ``reach`` on."""

    reach: int
    first: int
    end: int


class WindowDataset(Rows[ForecastBatch]):
    """All windows of a split, one ``stride`` after the other, in their order.

    Args:
        values: ``(steps, input)`` of all splits.
        known: ``(steps, known)``.
        times: ``(steps,)`` int64.
        span: which steps are this split's.
        input_length, horizon: steps that are read, and that are forecast.
        output_size: how many of the first of ``values`` are forecast.
        stride: steps from one window to the next.
        place: what errors call the data.
    """

    def __init__(
        self,
        values: Tensor,
        known: Tensor,
        times: Tensor,
        span: Span,
        *,
        input_length: int,
        horizon: int,
        output_size: int,
        stride: int = 1,
        place: str = "",
    ) -> None:
        self.values = values
        self.known = known
        self.times = times
        self.span = span
        self.input_length = input_length
        self.horizon = horizon
        self.output_size = output_size
        self.place = place
        origins = range(max(span.reach + input_length, span.first), span.end - horizon + 1, stride)
        self.origins = torch.tensor(origins, dtype=torch.long)  # the first step that each window forecasts
        self.lengths = torch.full((len(origins),), input_length)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if len(self) == 0:
            needed = self.horizon if self.span.reach < self.span.first else self.input_length + self.horizon
            raise ValueError(
                f"{self.place}: the {name} part has {self.span.end - self.span.first} steps, but a window of "
                f"input_length={self.input_length} and horizon={self.horizon} needs {needed}"
            )
        if name == "train":
            loading.check_rows(len(self))

    def __getitems__(self, rows: list[int]) -> ForecastBatch:
        # slices lie in one piece in memory: copying them is several times as fast as gathering steps by an index
        origins = self.origins[rows].tolist()
        inputs = [self.values[origin - self.input_length : origin] for origin in origins]
        targets = [self.values[origin : origin + self.horizon, : self.output_size] for origin in origins]
        known, times = (
            [steps[origin : origin + self.horizon] for origin in origins] for steps in (self.known, self.times)
        )
        return ForecastBatch(*(torch.stack(parts) for parts in (inputs, known, targets, times)))
