"""Forecasting data: series scaled by their training split, with calendar features, in windows."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.series_table import SeriesTable
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.series.calendar import calendar_features, check_calendar
from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing
from seqmodels.data.series.panel import Panel
from seqmodels.data.series.scaling import Scaling, fit_scaling, seasonal_error
from seqmodels.data.series.windows import Groups, Span, WindowDataset
from seqmodels.system.names import public_name


@dataclass(kw_only=True)
class ForecastPreparation(Preparation):
    """Windows of ``input_length`` steps, each followed by ``horizon`` steps to forecast.

    Forecast steps never cross the boundary of a split; validation and test contain every window once. All series are
    scaled with the mean and deviation of the training split only.

    Args:
        input_length: number of steps the network reads.
        horizon: number of steps it forecasts.
        calendar: features known for the future: ``minute``, ``hour``, ``weekday``, ``day``, ``day_of_year``, ``month``.
        season: season length in steps, for the seasonal-naive forecast and MASE; by default derived from the frequency
            (24 hours, 7 days, 5 weekdays, 12 months), or 1 if the training part is no longer.
        standardize: scale by the training split; otherwise values are unchanged.
        reach_back: inputs of validation and test may start in the preceding split, as is common, so that the first step
            of a split is forecast as well; otherwise they stay within it.
        stride: steps between consecutive training windows.
    """

    input_length: int
    horizon: int
    calendar: Sequence[str] = ()
    season: int | None = None
    standardize: bool = True
    reach_back: bool = True
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("input_length", "horizon", "stride", "season"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 step, got {value}")
        check_calendar(self.calendar)

    def prepare(self, splits: Splits[Panel]) -> Prepared:
        panel = splits.train
        wholes = tuple(_joined(parts) for parts in zip(*(part.tables for part in splits), strict=True))
        season = self._season(panel)
        scalings = [self._scaling(part, whole) for part, whole in zip(panel.tables, wholes, strict=True)]
        outputs = len(panel.tables[0].names) - panel.tables[0].features
        groups = self._groups(wholes, scalings, [_unit(table, outputs, season) for table in panel.tables], outputs)
        spans = self._spans(splits)
        windows = [
            WindowDataset(
                groups=groups,
                spans=span,
                input_length=self.input_length,
                horizon=self.horizon,
                season=season,
                stride=self.stride if number == 0 else 1,  # only training may skip steps
                place=panel.place,
            )
            for number, span in enumerate(spans)
        ]
        sizes = {
            "input_size": groups.values.shape[1],
            "known_size": groups.known.shape[1],
            "output_size": outputs,
            "horizon": self.horizon,
            "season": season,
            "names": list(panel.tables[0].names[:outputs]),
            "static_size": groups.static.shape[1],
            "series": len(panel.keys),
            "group": list(panel.group),
            "keys": [list(key) for key in panel.keys],
        }
        return Prepared(Splits(*windows), sizes, self._node(panel.tables[0], outputs, scalings[0]))

    def _scaling(self, train: SeriesTable, whole: SeriesTable) -> Scaling:
        scaling = fit_scaling(train.values, standardize=self.standardize)
        _check_scaled(train, whole.values, scaling)
        return scaling

    def _groups(
        self, wholes: Sequence[SeriesTable], scalings: Sequence[Scaling], units: Sequence[Tensor], outputs: int
    ) -> Groups:
        known = [calendar_features(whole.times, self.calendar, len(whole.values)) for whole in wholes]
        values = [
            torch.cat([scaling.apply(whole.values).float(), features], 1)
            for whole, scaling, features in zip(wholes, scalings, known, strict=True)
        ]
        steps = torch.tensor([0, *(len(part) for part in values)])
        return Groups(
            values=torch.cat(values),
            known=torch.cat(known),
            times=torch.cat([_numbered(whole) for whole in wholes]),
            starts=steps.cumsum(0)[:-1],
            series=torch.arange(len(wholes)),
            static=torch.zeros(len(wholes), 0),
            mean=torch.stack([scaling.mean[:outputs] for scaling in scalings]),
            deviation=torch.stack([scaling.deviation[:outputs] for scaling in scalings]),
            seasonal_error=torch.stack(list(units)),
        )

    def _spans(self, splits: Splits[Panel]) -> list[list[Span]]:
        """Return for each split the steps of each group that it covers."""
        spans: list[list[Span]] = []
        starts = [0] * len(splits.train.tables)
        for part in splits:
            ends = [start + len(table.values) for start, table in zip(starts, part.tables, strict=True)]
            spans.append(
                [Span(0 if self.reach_back else first, first, end) for first, end in zip(starts, ends, strict=True)]
            )
            starts = ends
        return spans

    def _node(self, series: SeriesTable, outputs: int, scaling: Scaling) -> dict[str, Any]:
        """Return the preprocessing node for new rows."""
        return {
            "_target_": public_name(ForecastPreprocessing),
            "time": series.options.time,
            "columns": list(series.names),
            "date_format": series.options.date_format,
            "gaps": series.options.gaps,
            "impute": series.options.impute,
            "calendar": list(self.calendar),
            "input_length": self.input_length,
            "horizon": self.horizon,
            "output_size": outputs,
            "mean": scaling.mean.tolist(),
            "deviation": scaling.deviation.tolist(),
        }

    def _season(self, panel: Panel) -> int:
        frequency, train = panel.tables[0].frequency, max(len(table.values) for table in panel.tables)
        if self.season is None:
            season = 1 if frequency is None else frequency.season
            return season if season < train else 1
        if self.season >= train:
            raise ValueError(f"{panel.place}: the train part has {train} steps, a season has {self.season}")
        return self.season


def _joined(parts: Sequence[SeriesTable]) -> SeriesTable:
    """Return consecutive parts of a series as one."""
    times = [part.times for part in parts if part.times is not None]
    return parts[0]._replace(
        values=torch.cat([part.values for part in parts]), times=np.concatenate(times) if times else None
    )


def _unit(train: SeriesTable, outputs: int, season: int) -> Tensor:
    """Return the scale of MASE; a series with less than a season for training has that of consecutive steps."""
    return seasonal_error(train.values[:, :outputs], season if season < len(train.values) else 1)


def _numbered(series: SeriesTable) -> Tensor:
    """Return the times as microseconds since 1970, or the numbers of the steps."""
    if series.times is None:
        return torch.arange(len(series.values))
    return torch.from_numpy(series.times.astype("datetime64[us]").astype(np.int64))


def _check_scaled(train: SeriesTable, values: Tensor, scaling: Scaling) -> None:
    """Warn about constant series; reject those that overflow float32 after scaling."""
    finite = scaling.apply(values).float().isfinite().all(0)
    for name, column, fits in zip(train.names, train.values.unbind(1), finite.tolist(), strict=True):
        if not fits:
            raise ValueError(f"{train.place}, column {name}: its values are too large for float32 once scaled")
        if bool((column == column[0]).all()):
            warnings.warn(
                f"{train.place}, column {name}: never changes in the training part; it is scaled by 1", stacklevel=2
            )
