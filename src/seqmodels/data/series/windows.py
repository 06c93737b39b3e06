"""Windows over series, cut when a batch is read: they take no memory beyond the series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class ForecastBatch(NamedTuple):
    """Windows of series and the steps that follow them, on the scale of the training part."""

    inputs: Tensor  # (batch, time, input)  first the series to forecast, then other features, then the calendar
    known: Tensor  # (batch, horizon, known)  what is known of the future: the calendar; perhaps 0 numbers a step
    targets: Tensor  # (batch, horizon, output)  the series to forecast
    times: Tensor  # (batch, horizon)  seconds since 1970, or numbers of steps where the data have no time


@dataclass(kw_only=True, eq=False, repr=False)
class WindowDataset(Rows[ForecastBatch]):
    """All windows of a split, one ``stride`` after the other, in their order.

    Args:
        values: ``(steps, input)`` of all splits.
        known: ``(steps, known)``.
        times: ``(steps,)`` int64.
        reach, first, end: targets lie from ``first`` to before ``end``, inputs from ``reach`` on.
        input_length, horizon: steps that are read, and that are forecast.
        output_size: how many of the first of ``values`` are forecast.
        stride: steps from one window to the next.
        place: what errors call the data.
    """

    values: Tensor
    known: Tensor
    times: Tensor
    reach: int
    first: int
    end: int
    input_length: int
    horizon: int
    output_size: int
    stride: int = 1
    place: str = ""

    def __post_init__(self) -> None:
        origins = range(max(self.reach + self.input_length, self.first), self.end - self.horizon + 1, self.stride)
        self.origins = torch.tensor(origins, dtype=torch.long)  # the first step that each window forecasts
        self.lengths = torch.full((len(origins),), self.input_length)

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if len(self) == 0:
            needed = self.horizon if self.reach < self.first else self.input_length + self.horizon
            raise ValueError(
                f"{self.place}: the {name} part has {self.end - self.first} steps, but a window of "
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
