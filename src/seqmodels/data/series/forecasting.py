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
from seqmodels.data.series.scaling import Scaling, fit_scaling, seasonal_error
from seqmodels.data.series.windows import WindowDataset
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
            (24 hours, 7 days, 5 weekdays, 12 months), or 1 if that exceeds a window.
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
        for name in ("input_length", "horizon", "stride"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1 step, got {value}")
        if self.season is not None and not 1 <= self.season <= self.input_length:
            raise ValueError(f"season must be 1 to input_length={self.input_length} steps, got {self.season}")
        check_calendar(self.calendar)

    def prepare(self, splits: Splits[SeriesTable]) -> Prepared:
        series = splits.train
        outputs = len(series.names) - series.features
        all_values = torch.cat([part.values for part in splits])
        times = None if series.times is None else np.concatenate([part.times for part in splits])
        scaling = fit_scaling(series.values, standardize=self.standardize)
        _check_scaled(series, all_values, scaling)
        known = calendar_features(times, self.calendar, len(all_values))
        values = torch.cat([scaling.apply(all_values).float(), known], 1)
        seconds = torch.arange(len(values)) if times is None else torch.from_numpy(times.astype(np.int64))
        windows: list[WindowDataset] = []
        first = 0
        for part in splits:
            window = WindowDataset(
                values=values,
                known=known,
                times=seconds,
                reach=0 if self.reach_back else first,
                first=first,
                end=first + len(part.values),
                input_length=self.input_length,
                horizon=self.horizon,
                output_size=outputs,
                stride=1 if windows else self.stride,  # only training may skip steps
                place=series.place,
            )
            windows.append(window)
            first = window.end
        season = self._season(series)
        sizes = {
            "input_size": values.shape[1],
            "known_size": len(self.calendar),
            "output_size": outputs,
            "horizon": self.horizon,
            "season": season,
            "names": list(series.names[:outputs]),
            "mean": scaling.mean[:outputs].tolist(),
            "deviation": scaling.deviation[:outputs].tolist(),
            "seasonal_error": seasonal_error(series.values[:, :outputs], season).tolist(),
        }
        return Prepared(Splits(*windows), sizes, self._node(series, outputs, scaling))

    def _node(self, series: SeriesTable, outputs: int, scaling: Scaling) -> dict[str, Any]:
        """Return the preprocessing node for new rows."""
        return {
            "_target_": public_name(ForecastPreprocessing),
            "time": series.options.time if isinstance(series.options.time, str) else list(series.options.time_columns),
            "columns": list(series.names),
            "date_format": series.options.date_format,
            "timezone": series.options.timezone,
            "gaps": series.options.gaps,
            "impute": series.options.impute,
            "dialect": series.options.dialect._asdict(),
            "frequency": None if series.frequency is None else series.frequency._asdict(),
            "calendar": list(self.calendar),
            "input_length": self.input_length,
            "horizon": self.horizon,
            "output_size": outputs,
            "mean": scaling.mean.tolist(),
            "deviation": scaling.deviation.tolist(),
        }

    def _season(self, series: SeriesTable) -> int:
        season, train = self.season, len(series.values)
        if season is None:
            season = 1 if series.frequency is None else series.frequency.season
            season = season if season <= self.input_length else 1
        if season >= train:
            raise ValueError(f"{series.place}: the train part has {train} steps, a season has {season}")
        return season


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
