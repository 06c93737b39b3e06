"""Forecasting data: series scaled by their training split, with calendar features, in windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from seqmodels.data.formats.series_table import SeriesTable
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.series.calendar import check_calendar
from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.panels.report import log_report, warn_of_constants
from seqmodels.data.series.panels.scaling import GroupScale
from seqmodels.data.series.scaling import fit_scaling
from seqmodels.data.series.windows import Span


@dataclass(kw_only=True)
class ForecastPreparation(Preparation):
    """Windows of ``input_length`` steps, each followed by ``horizon`` steps to forecast.

    Forecast steps never cross the boundary of a split; validation and test contain every window once. The columns to
    forecast are scaled, for each group separately, with the mean and deviation of the training split only, other
    columns with those over all groups.

    Args:
        input_length: number of steps the network reads.
        horizon: number of steps it forecasts.
        calendar: features known for the future: ``minute``, ``hour``, ``weekday``, ``day``, ``day_of_year``, ``month``.
        season: season length in steps, for the seasonal-naive forecast and MASE, which may exceed ``input_length``; by
            default derived from the frequency (24 hours, 7 days, 5 weekdays, 52 weeks, 12 months), or 1 if no training
            part is longer.
        standardize: scale by the training split; otherwise values are unchanged.
        reach_back: inputs of validation and test may start in the preceding split, as is common, so that the first step
            of a split is forecast as well; otherwise they stay within it.
        stride: steps between consecutive training windows.
    """

    input_length: int
    horizon: int
    calendar: str | Sequence[str] = ()
    season: int | None = None
    standardize: bool = True
    reach_back: bool = True
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("input_length", "horizon", "stride", "season"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 step, got {value}")
        self.calendar = [self.calendar] if isinstance(self.calendar, str) else list(self.calendar)
        check_calendar(self.calendar)

    def prepare(self, splits: Splits[Panel]) -> Prepared:
        categories = splits.train.seen()
        parts = [part.limited(categories) for part in splits if part is not None]
        train = parts[0]
        preprocessing = self.fit(train)
        whole = train._replace(tables=tuple(map(_joined, zip(*(part.tables for part in parts), strict=True))))
        groups = preprocessing.of_panel(whole)
        strides = (self.stride, 1, 1)  # only training may skip steps
        windows = [
            preprocessing.windows(groups, spans, train.place, stride)
            for spans, stride in zip(self._spans(parts), strides, strict=False)
        ]
        log_report(parts, windows, preprocessing)
        keys, style = preprocessing.scaling.scales, () if train.longest.times is None else train.longest.style
        sizes = {
            "input_size": groups.values.shape[1],
            "known_size": groups.known.shape[1],
            "output_size": train.outputs,
            "horizon": self.horizon,
            "season": preprocessing.season,
            "names": list(train.names[: train.outputs]),
            "static_size": groups.static.shape[1],
            "series": len(keys),
            "group": list(train.group),
            "keys": list(map(list, keys)),
            "time_style": list(style),  # the fields of a TimeStyle; empty without times
        }
        return Prepared(Splits(*windows), sizes, preprocessing.node)

    def fit(self, train: Panel) -> ForecastPreprocessing:
        """Return the preprocessing, fitted on the training part of a panel."""
        warn_of_constants(train)
        season, outputs, table = self._season(train), train.outputs, train.longest
        used = {key: part.values for key, part in zip(train.keys, train.tables, strict=True) if len(part.values)}
        scaling = fit_scaling(torch.cat(list(used.values())), standardize=self.standardize)
        scales = {
            key: GroupScale.fit(values[:, :outputs], season, standardize=self.standardize)
            for key, values in used.items()
        }
        present = torch.tensor([key in used for key in train.keys])
        static = fit_scaling(train.static[present], standardize=self.standardize and train.static.shape[1] > 0)
        options, offsets = table.options, () if table.offsets is None else np.unique(table.offsets)
        return ForecastPreprocessing(
            columns=train.names,
            mean=scaling.mean.tolist(),
            deviation=scaling.deviation.tolist(),
            output_size=outputs,
            input_length=self.input_length,
            horizon=self.horizon,
            time=options.time,
            calendar=self.calendar,
            date_format=options.date_format,
            gaps=options.gaps,
            impute=options.impute,
            timezone=options.timezone or (table.zone if len(offsets) == 1 else None),
            dialect=options.dialect._asdict(),
            frequency=None if table.frequency is None else table.frequency._asdict(),
            standardize=self.standardize,
            season=season,
            seasonal_error=None if train.group else scales[()].seasonal_error.tolist(),
            layout="long" if train.wide is None else train.wide.layout,
            wide=() if train.wide is None else train.wide.values or (),
            future=train.roles.future,
            static=train.roles.static,
            group=train.group,
            categories=dict(train.categories),
            static_mean=static.mean.tolist(),
            static_deviation=static.deviation.tolist(),
            groups=[{"key": key, **scale.node()} for key, scale in scales.items()] if train.group else (),
        )

    def _spans(self, parts: Sequence[Panel]) -> list[list[Span]]:
        """Return for each split the steps of each group that it covers."""
        spans: list[list[Span]] = []
        starts = [0] * len(parts[0].tables)
        for part in parts:
            ends = [start + len(table.values) for start, table in zip(starts, part.tables, strict=True)]
            spans.append(
                [Span(0 if self.reach_back else first, first, end) for first, end in zip(starts, ends, strict=True)]
            )
            starts = ends
        return spans

    def _season(self, train: Panel) -> int:
        frequency, steps = train.longest.frequency, len(train.longest.values)
        if self.season is None:
            season = 1 if frequency is None else frequency.season
            return season if season < steps else 1
        if self.season >= steps:
            raise ValueError(f"{train.place}: the train part has {steps} steps, a season has {self.season}")
        return self.season


def _joined(parts: Sequence[SeriesTable]) -> SeriesTable:
    """Return consecutive parts of a series as one."""
    times = [part.times for part in parts if part.times is not None]
    observed = [part.observed for part in parts if part.observed is not None]
    return parts[0]._replace(
        values=torch.cat([part.values for part in parts]),
        times=np.concatenate(times) if times else None,
        observed=torch.cat(observed) if observed else None,
    )
