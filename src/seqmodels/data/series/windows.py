"""Windows over series, cut lazily per batch, so that they take no extra memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class ForecastBatch(NamedTuple):
    """Windows of series and the steps that follow, scaled by the training split."""

    inputs: Tensor  # (batch, time, input)  target series, then other features, then calendar features
    known: Tensor  # (batch, horizon, known)  calendar features of the future; may have size 0
    targets: Tensor  # (batch, horizon, output)  the series to forecast
    times: Tensor  # (batch, horizon)  microseconds since 1970 of the wall clock; without a time, steps


@dataclass(kw_only=True, eq=False, repr=False)
class WindowDataset(Rows[ForecastBatch]):
    """All windows of a split in order, ``stride`` steps apart.

    Args:
        values: ``(steps, input)`` of all splits.
        known: ``(steps, known)``.
        times: ``(steps,)`` int64.
        reach, first, end: targets are within ``[first, end)``, inputs start at ``reach`` or later.
        input_length, horizon: numbers of steps read and forecast.
        output_size: number of leading columns of ``values`` to forecast.
        stride: steps between consecutive windows.
        place: name of the data in error messages.
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
        self.origins = torch.tensor(origins, dtype=torch.long)  # first forecast step of each window
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
        # slices are contiguous: copying them is several times as fast as gathering steps by index
        origins = self.origins[rows].tolist()
        inputs = [self.values[origin - self.input_length : origin] for origin in origins]
        targets = [self.values[origin : origin + self.horizon, : self.output_size] for origin in origins]
        known, times = (
            [steps[origin : origin + self.horizon] for origin in origins] for steps in (self.known, self.times)
        )
        return ForecastBatch(*(torch.stack(parts) for parts in (inputs, known, targets, times)))
