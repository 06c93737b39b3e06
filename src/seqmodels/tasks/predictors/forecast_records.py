"""Forecasts as records of plain data, in units of the data."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.times.zones import TimeStyle, style_of
from seqmodels.data.series.windows import ForecastBatch
from seqmodels.models import Forecaster

Record = dict[str, Any]
DIGITS = 6
"""Digits that float32 resolves of a value of the size of the deviation; values are rounded to them."""


def summary(model: Forecaster, params: Tensor, share: float) -> dict[str, Tensor]:
    """Return ``forecast``, ``low``, ``high`` and any quantiles of parameters, each ``(batch, horizon, series)``.

    ``low`` and ``high`` cover ``share`` of the outcomes; point forecasts have none without calibration.
    """
    bounds = model.interval(params, share)
    interval = {} if bounds is None else dict(zip(("low", "high"), bounds, strict=True))
    return {"forecast": model.likelihood.point(params), **interval, **model.likelihood.statistics(params)}


def in_units(values: Tensor, batch: ForecastBatch) -> Tensor:
    """Return scaled values ``(batch, horizon, series)`` in units of the data, as float64 on the CPU.

    float32 has steps of 128 near 1e9, and some devices have nothing better.
    """
    return values.cpu().double() * batch.deviation[:, None] + batch.mean[:, None]


def records_of(values: dict[str, Tensor], batch: ForecastBatch, names: Sequence[str], style: Any) -> list[list[Record]]:
    """Return for each window the values of each series and step, in this order.

    Args:
        values: by name, scaled, each ``(batch, horizon, series)``.
        batch: the windows.
        names: of the series.
        style: how times are written, see :func:`time_texts`.
    """
    table = torch.stack([in_units(value, batch) for value in values.values()], -1)
    times = time_texts(batch.times, style)
    decimals = (DIGITS - batch.deviation.log10().floor()).int().tolist()
    return [
        [
            {
                "series": name,
                "step": number,
                "time": time,
                **{kind: round(value, places) for kind, value in zip(values, step, strict=True)},
            }
            for name, places, steps in zip(names, rounding, window, strict=True)
            for number, (time, step) in enumerate(zip(texts, steps, strict=True), start=1)
        ]
        for texts, rounding, window in zip(times, decimals, table.transpose(1, 2).tolist(), strict=True)
    ]


def time_texts(times: Tensor, style: Sequence[Any] | None) -> list[list[Any]]:
    """Return the times ``(batch, steps)`` of windows as text.

    Args:
        times: microseconds since 1970, or numbers of steps.
        style: the fields of a :class:`~seqmodels.data.formats.times.zones.TimeStyle`; empty if the data have no times:
            numbers of steps stay numbers; None for ISO 8601, as dates alone if all of a window are midnights.
    """
    if style is not None and not style:
        return times.tolist()
    windows = [window.astype("datetime64[us]") for window in times.cpu().numpy()]
    return [(style_of(window, 0, None) if style is None else TimeStyle(*style)).texts(window) for window in windows]
