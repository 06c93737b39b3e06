"""Preprocessing of series for forecasting, as fitted on the training data."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.times.frequency import Frequency, Gaps
from seqmodels.data.preprocessing import Example, Preprocessing, is_array, listed
from seqmodels.data.series.panels.layouts import Layout, Wide
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.panels.reading import Group, Reading, static_values
from seqmodels.data.series.panels.records import holds_lists, table_from, tables_in
from seqmodels.data.series.panels.roles import Roles, expanded, unseen
from seqmodels.data.series.panels.scaling import GroupScale, GroupScaling
from seqmodels.data.series.scaling import Scaling
from seqmodels.data.series.windows import ForecastBatch, Groups, Span, WindowDataset
from seqmodels.errors import shortened

SHOWN = 20  # names of groups in a log line
log = logging.getLogger("seqmodels")


@dataclass(kw_only=True)
class ForecastPreprocessing(Preprocessing):
    """Windows of series, read and scaled like the training data.

    The rows of a delimited file are the steps of one series, or with ``group`` columns of several. A JSON line has the
    same columns as fields: lists of steps, or one value for all of its steps.

    Args:
        columns: columns to forecast, then features, then those known ahead, as numbers: a column with words is one
            column per category, ``"weather=sunny"``.
        mean, deviation: of each of ``columns``, by which it is scaled.
        output_size: number of columns to forecast.
        input_length, horizon, calendar, standardize: as in training.
        time, timezone, date_format, gaps, impute: as in :class:`~seqmodels.data.CSVSeriesData`.
        dialect: how the training file was written, the fields of a ``CSVDialect``.
        frequency: of the training data, the fields of a ``Frequency``; None if they had no times.
        season: number of steps in a season.
        seasonal_error: mean absolute seasonal difference of each column to forecast in the training data.
        wide: columns with values of a table whose ``layout`` is wide.
        layout, future, static, group: as in :class:`~seqmodels.data.CSVSeriesData`.
        categories: values of each column with words.
        static_mean, static_deviation: of each static feature.
        groups: of each group of the training data, its ``key`` and, instead of those above, the ``mean``, ``deviation``
            and ``seasonal_error`` of the columns to forecast.
    """

    columns: Sequence[str]
    mean: Sequence[float]
    deviation: Sequence[float]
    output_size: int
    input_length: int
    horizon: int
    time: str | Sequence[str] | None = None
    calendar: Sequence[str] = ()
    date_format: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None
    timezone: str | None = None
    dialect: Mapping[str, Any] = field(default_factory=dict)
    frequency: Mapping[str, Any] | None = None
    standardize: bool = True
    season: int = 1
    seasonal_error: Sequence[float] | None = None
    layout: Layout = "long"
    wide: Sequence[str] = ()
    future: Sequence[str] = ()
    static: Sequence[str] = ()
    group: Sequence[str] = ()
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    static_mean: Sequence[float] = ()
    static_deviation: Sequence[float] = ()
    groups: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        outputs, time = self.output_size, (self.time,) if isinstance(self.time, str) else tuple(self.time or ())
        known = len(expanded(self.future, self.categories))
        self.options = CSVOptions(
            time=time or None,
            dialect=CSVDialect(**self.dialect),
            date_format=self.date_format,
            timezone=self.timezone,
            gaps=self.gaps,
            impute=self.impute,
            season=self.season,
            frequency=None if self.frequency is None else Frequency(**self.frequency),
        )
        roles = Roles(
            target=tuple(self.columns[:outputs]),
            features=tuple(self.columns[outputs : len(self.columns) - known]),
            future=tuple(self.future),
            static=tuple(self.static),
            group=tuple(self.group),
        )
        kept = (*roles.features, *roles.future) if self.layout == "columns" else roles.group
        wide = None if self.layout == "long" else Wide(self.layout, self.options.time_columns, tuple(self.wide), kept)
        self.reading = Reading(self.options, roles, self.categories, wide)
        mean, deviation = (values[:outputs] for values in (self.mean, self.deviation))
        error = [1.0] * outputs if self.seasonal_error is None else self.seasonal_error
        single = {"key": (), "mean": mean, "deviation": deviation, "seasonal_error": error}
        scales = {tuple(node["key"]): GroupScale.of(node) for node in self.groups or (single,)}
        self.scaling = GroupScaling(
            scales=scales,
            covariates=Scaling.of(self.mean[outputs:], self.deviation[outputs:]),
            static=Scaling.of(self.static_mean, self.static_deviation),
            calendar=self.calendar,
            known=known,
            season=self.season,
            standardize=self.standardize,
        )

    def fields_of(self, value: Any) -> Mapping[str, Any]:
        """Return the fields of a record for an array ``(time, columns)`` of the columns to forecast, then features.

        Raises:
            ValueError: it has another number of columns, or the model needs more than numbers: times or groups.
        """
        if not is_array(value):
            return super().fields_of(value)
        roles = self.reading.roles
        steps = [step if isinstance(step, list) else [step] for step in listed(value)]
        names = [*(roles.target or ()), *(roles.features or ())]
        if self.options.time_columns or roles.group or roles.future or roles.static or self.reading.wide:
            raise ValueError("the model reads more columns than those of an array: give a table or records")
        for number, step in enumerate(steps, start=1):
            if len(step) != len(names):
                raise ValueError(f"step {number} must have {len(names)} values ({', '.join(names)}), got {len(step)}")
        return {name: [step[index] for step in steps] for index, name in enumerate(names)}

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the last window of a record with lists of steps as fields, ``(time, input)``."""
        (group,) = self._groups([Record("the record", dict(record))])
        return self.window(group).inputs

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the last window of each group, without a batch dimension; the steps after it are forecast.

        The group columns are the fields of an example. A group that cannot be read, or a record with lists of steps,
        yields an example without a value.

        Raises:
            ValueError: a table cannot be read, or none of its groups; with the location.
        """
        for part in tables_in(records):
            of_rows = not holds_lists(part[0])
            try:
                groups = self._groups(part)
            except ValueError as error:
                if of_rows:
                    raise
                yield Example(part[0].place, None, str(error))
                continue
            examples = [self._example(group) for group in groups]
            if of_rows and all(example.value is None for example in examples):
                raise ValueError(examples[0].error)
            yield from examples

    def _example(self, group: Group) -> Example:
        place, fields = group.table.rows[0].place, dict(zip(self.reading.roles.group, group.key, strict=True))
        try:
            return Example(place, self.window(group), fields=fields)
        except ValueError as error:
            return Example(place, None, str(error), fields)

    def window(self, group: Group) -> ForecastBatch:
        """Return the last window of a group and the steps after it, with zero targets.

        Raises:
            ValueError: fewer steps than a window; a value of the window is missing or too large; or columns known ahead
                are not given.
        """
        known = group.key in self.scaling.scales
        series = self.reading.series(group, last=self.input_length if known else None)
        steps = len(series.values)
        if steps < self.input_length:
            which = f" of {', '.join(group.key)}" if group.key else ""
            raise ValueError(
                f"{series.place}: the model reads input_length={self.input_length} steps, the series{which} has {steps}"
            )
        groups = self._tensors([group], [self._continued(series, group)], [steps])
        if series.times is None and series.rows is not None:
            groups = groups._replace(times=groups.times + int(series.rows[0]))  # steps are counted from the first row
        return self.windows(groups, [Span(0, steps, steps + self.horizon)], series.place)[0]

    def _continued(self, series: SeriesTable, group: Group) -> SeriesTable:
        """Return a series with the steps to forecast, which are NaN but for the columns known ahead."""
        values = torch.full((self.horizon, len(self.columns)), torch.nan, dtype=torch.float64)
        times = None if series.times is None else series.future(self.horizon)
        if self.scaling.known:
            ahead = self.reading.ahead(group, self.horizon)
            values[:, len(self.columns) - self.scaling.known :] = ahead.values
            times = ahead.times
        observed = torch.ones_like(series.values, dtype=torch.bool) if series.observed is None else series.observed
        return series._replace(
            values=torch.cat([series.values, values]),
            observed=torch.cat([observed, torch.zeros_like(values, dtype=torch.bool)]),
            times=None if series.times is None or times is None else np.concatenate([series.times, times]),
        )

    def collate(self, values: Sequence[ForecastBatch]) -> ForecastBatch:
        return ForecastBatch(*(torch.stack(parts) for parts in zip(*values, strict=True)))

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> WindowDataset:  # noqa: ARG002
        """Return all windows of a file, whose targets are its last steps.

        Raises:
            ValueError: a row cannot be read, or no series is as long as a window and its horizon.
        """
        groups = [group for part in tables_in(records) for group in self._groups(part)]
        if not groups:
            raise ValueError("there are no rows to evaluate")
        tables = [self.reading.series(group) for group in groups]
        needed, lengths = self.input_length + self.horizon, [len(table.values) for table in tables]
        if max(lengths) < needed:
            raise ValueError(
                f"{tables[0].place}: a window of input_length={self.input_length} and horizon={self.horizon} needs "
                f"{needed} steps, the longest series has {max(lengths)}"
            )
        if short := sum(length < needed for length in lengths):
            log.info("%s: %d of %d series are shorter than %d steps", tables[0].place, short, len(tables), needed)
        tensors = self._tensors(groups, tables, [self.input_length] * len(groups))
        return self.windows(tensors, [Span(0, 0, len(table.values)) for table in tables], tables[0].place)

    def of_panel(self, panel: Panel) -> Groups:
        """Return the tensors of a panel that is read already."""
        return self.scaling.groups(panel.keys, panel.tables, panel.static, [self.input_length] * len(panel.keys))

    def _groups(self, records: Sequence[Record]) -> list[Group]:
        """Return the groups of a table; what is new in it is logged."""
        roles = self.reading.roles
        required = roles.target or () if self.layout == "long" else ()
        table = table_from(records, roles, self.options, required)
        if self.reading.wide is not None:
            table = self.reading.wide.present(table).long(table)
        for column, count in unseen(table, self.categories).items():
            log.info("%s: %d values of %s are not in the training data", table.name, count, column)
        groups = self.reading.groups(table)
        if new := [", ".join(group.key) for group in groups if group.key not in self.scaling.scales]:
            which = shortened(new, SHOWN, "; ")
            log.info("%s: scaled by their own rows, as they are not in the training data: %s", table.name, which)
        return groups

    def _tensors(self, groups: Sequence[Group], tables: Sequence[SeriesTable], history: Sequence[int]) -> Groups:
        names = expanded(self.static, self.categories)
        static = torch.stack([static_values(group, self.static, names) for group in groups])
        return self.scaling.groups([group.key for group in groups], tables, static, history)

    def windows(self, groups: Groups, spans: Sequence[Span], place: str, stride: int = 1) -> WindowDataset:
        """Return the windows of the spans of groups; ``place`` names the data in error messages."""
        return WindowDataset(
            groups=groups,
            spans=spans,
            input_length=self.input_length,
            horizon=self.horizon,
            season=self.season,
            stride=stride,
            place=place,
        )
