"""Windows over series, cut when they are asked for: a split of them takes no memory beyond the series."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset


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


class WindowDataset(Dataset[ForecastBatch]):
    """All windows of a split, one ``stride`` after the other, in their order.

    Args:
        values: ``(steps, input)`` of all splits.
        known: ``(steps, known)``.
        times: ``(steps,)`` int64.
        span: which steps are this split's.
        input_length, horizon: steps that are read, and that are forecast.
        output_size: how many of the first of ``values`` are forecast.
        stride: steps from one window to the next.
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
    ) -> None:
        self.values = values
        self.known = known
        self.times = times
        self.span = span
        self.input_length = input_length
        self.horizon = horizon
        self.output_size = output_size
        origins = range(max(span.reach + input_length, span.first), span.end - horizon + 1, stride)
        self.origins = torch.tensor(origins, dtype=torch.long)  # the first step that each window forecasts
        self.lengths = torch.full((len(origins),), input_length)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, row: int) -> ForecastBatch:
        """Return one window without a batch dimension."""
        return ForecastBatch(*(tensor[0] for tensor in self.__getitems__([row])))

    def __getitems__(self, rows: list[int]) -> ForecastBatch:
        # slices lie in one piece in memory: copying them is several times as fast as gathering steps by an index
        origins = self.origins[rows].tolist()
        inputs = [self.values[origin - self.input_length : origin] for origin in origins]
        targets = [self.values[origin : origin + self.horizon, : self.output_size] for origin in origins]
        known, times = (
            [steps[origin : origin + self.horizon] for origin in origins] for steps in (self.known, self.times)
        )
        return ForecastBatch(*(torch.stack(parts) for parts in (inputs, known, targets, times)))


def parted(steps: int, shares: Sequence[float]) -> tuple[int, int, int]:
    """Return where the training, validation and test parts of ``steps`` end.

    Args:
        shares: of each part. Numbers of at most 1 are shares of all steps, in order and without a rest where they sum
            to 1; whole numbers above 1 are steps.

    Raises:
        ValueError: they are neither, or more than there is.
    """
    wrong = f"split must be three shares that sum to at most 1, or three numbers of steps, got {list(shares)}"
    if len(shares) != 3 or any(isinstance(share, bool) or not share > 0 for share in shares):
        raise ValueError(wrong)
    if all(isinstance(share, int) and share > 1 for share in shares):
        if sum(shares) > steps:
            raise ValueError(f"split={list(shares)} asks for {sum(shares)} steps, there are {steps}")
        ends = (shares[0], shares[0] + shares[1], sum(shares))
        return int(ends[0]), int(ends[1]), int(ends[2])
    if sum(shares) > 1 + 1e-9:
        raise ValueError(wrong)
    # the tails are counted first, as papers do: 70/10/20 is int(0.7 n), the rest, int(0.2 n)
    train, last = int(steps * shares[0] + 1e-9), int(steps * shares[2] + 1e-9)
    end = steps if sum(shares) > 1 - 1e-9 else int(steps * sum(shares))
    return train, end - last, end
