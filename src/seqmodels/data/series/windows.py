"""Windows over series, cut lazily per batch, so that they take no extra memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Rows
from seqmodels.data.loading import Loading


class ForecastBatch(NamedTuple):
    """Windows of series and the steps that follow, scaled as in training.

    ``value * deviation + mean`` is a value in its own units; both are float64, since float32 is too coarse for large
    values that change little.
    """

    inputs: Tensor  # (batch, time, input)  targets, then features of the past only, then known features
    known: Tensor  # (batch, horizon, known)  features known of the future: covariates, calendar; may have size 0
    targets: Tensor  # (batch, horizon, output)  the series to forecast
    times: Tensor  # (batch, horizon) int64  microseconds since 1970 on the clock of the data, or numbers of steps
    series: Tensor  # (batch,) int64  index of the group among those of training; -1 for others
    static: Tensor  # (batch, static)  features of the group; may have size 0
    mean: Tensor  # (batch, output) float64  scaling of the group's targets
    deviation: Tensor  # (batch, output) float64
    seasonal_error: Tensor  # (batch, output) float64  mean absolute seasonal difference, the scale of MASE
    naive: Tensor  # (batch, horizon, output)  the seasonal-naive forecast, scaled
    observed: Tensor  # (batch, horizon, output) bool  whether a target was in the file; otherwise it was filled in

    def to(self, device: torch.device | str) -> "ForecastBatch":
        """Return the batch on a device; what is float64 stays on the CPU, since not every device has that type."""
        kept = ("mean", "deviation", "seasonal_error")
        moved = {name: x.to(device, non_blocking=True) for name, x in self._asdict().items() if name not in kept}
        return self._replace(**moved)


class Groups(NamedTuple):
    """Tensors of all groups: their steps one after the other, and what holds for a whole group."""

    keys: Sequence[tuple[str, ...]]  # of each group, its values of the group columns
    values: Tensor  # (steps, input)  scaled, with the known features of each step
    known: Tensor  # (steps, known)
    observed: Tensor  # (steps, output) bool
    times: Tensor  # (steps,) int64
    starts: Tensor  # (groups,)  first step of each group
    series: Tensor  # (groups,) int64
    static: Tensor  # (groups, static)
    mean: Tensor  # (groups, output) float64
    deviation: Tensor  # (groups, output) float64
    seasonal_error: Tensor  # (groups, output) float64


class Span(NamedTuple):
    """The part of a group that a split covers, as numbers of steps within the group."""

    reach: int  # inputs start here or later
    first: int  # the first step to forecast
    end: int  # where the steps to forecast end


@dataclass(kw_only=True, eq=False, repr=False)
class WindowDataset(Rows[ForecastBatch]):
    """All windows of a split, group by group and in order of time, ``stride`` steps apart.

    Args:
        groups: the steps of all splits.
        spans: the part of each group that belongs to this split.
        input_length, horizon: numbers of steps read and forecast.
        season: number of steps of a season, for the seasonal-naive forecast, which may look back further than the
            window. Where a group has less than a season before the forecast, it is the last value.
        stride: steps between consecutive windows.
        latest: only so many of the last windows of each group; None: all.
        place: name of the data in error messages.
    """

    groups: Groups
    spans: Sequence[Span]
    input_length: int
    horizon: int
    season: int
    stride: int = 1
    latest: int | None = None
    place: str = ""

    def __post_init__(self) -> None:
        origins = [
            start + self._origins(span) for span, start in zip(self.spans, self.groups.starts.tolist(), strict=True)
        ]
        self.origins = torch.cat(origins)  # first forecast step of each window
        counts = torch.tensor([len(part) for part in origins])
        self.rows = torch.arange(len(counts)).repeat_interleave(counts)  # group of each window
        self.lengths = torch.full((len(self.origins),), self.input_length)

    def _origins(self, span: Span) -> Tensor:
        """Return the first forecast step of each window of a group; with ``latest``, counted back from the last."""
        first, last = max(span.reach + self.input_length, span.first), span.end - self.horizon
        if self.latest is None:
            return torch.arange(first, max(first, last + 1), self.stride)
        count = min(self.latest, max(0, last - first + self.stride) // self.stride)
        return last - self.stride * torch.arange(count).flip(0)

    def rolling(self, origins: int) -> "WindowDataset":
        """Return the last windows of each group, ``origins`` of them or fewer, whose forecasts do not overlap.

        They are a backtest: the model forecasts from each origin in turn, which moves on by a horizon.
        """
        return replace(self, stride=self.horizon, latest=origins)

    def joined(self, others: Sequence["WindowDataset"]) -> "WindowDataset":
        """Return the windows up to the end of the last of the other splits, also those across the boundaries."""
        ends = (span.end for span in others[-1].spans)
        return replace(self, spans=[span._replace(end=end) for span, end in zip(self.spans, ends, strict=True)])

    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:  # noqa: ARG002
        if len(self) == 0:
            longest = max(self.spans, key=lambda span: span.end - span.first)
            needed = self.horizon if longest.reach < longest.first else self.input_length + self.horizon
            raise ValueError(
                f"{self.place}: the {name} part has {longest.end - longest.first} steps, but a window of "
                f"input_length={self.input_length} and horizon={self.horizon} needs {needed}"
            )
        if name == "train":
            loading.check_rows(len(self))

    def __getitems__(self, rows: list[int]) -> ForecastBatch:
        # slices are contiguous: copying them is several times as fast as gathering steps by index
        groups, members = self.groups, self.rows[rows]
        origins = self.origins[rows].tolist()
        output = groups.mean.shape[1]
        naive = groups.values[self._season_before(rows), :output]
        inputs = [groups.values[origin - self.input_length : origin] for origin in origins]
        targets = [groups.values[origin : origin + self.horizon, :output] for origin in origins]
        known, times, observed = (
            [steps[origin : origin + self.horizon] for origin in origins]
            for steps in (groups.known, groups.times, groups.observed)
        )
        whole = (groups.series, groups.static, groups.mean, groups.deviation, groups.seasonal_error)
        steps = (torch.stack(parts) for parts in (inputs, known, targets, times))
        return ForecastBatch._make((*steps, *(values[members] for values in whole), naive, torch.stack(observed)))

    def _season_before(self, rows: list[int]) -> Tensor:
        """Return for every step to forecast the step of the last season before the forecast, ``(rows, horizon)``."""
        origins = self.origins[rows]
        season = torch.where(origins - self.groups.starts[self.rows[rows]] < self.season, 1, self.season)[:, None]
        return origins[:, None] - season + torch.arange(self.horizon) % season
