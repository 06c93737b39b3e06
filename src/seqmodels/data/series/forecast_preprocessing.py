"""Preprocessing of new rows for forecasting the steps after them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.formats.csv_rows import Row
from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, series_of, table_of
from seqmodels.data.formats.times import Gaps
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.series.calendar import calendar_features
from seqmodels.data.series.scaling import Scaling
from seqmodels.data.series.windows import ForecastBatch


@dataclass(kw_only=True)
class ForecastPreprocessing(Preprocessing):
    """The last window of new series, scaled like the training data; the steps after it are forecast.

    The rows of a CSV file are the steps of one series, whose continuation is forecast. Each JSON line is a window of
    its own; its fields are the columns, each a list of steps.

    Args:
        columns: series to forecast first, then other features, with ``mean`` and ``deviation`` of each.
        time, date_format, gaps, impute: as in :class:`~seqmodels.data.CSVSeriesData`.
        calendar, input_length, horizon: as in training.
        output_size: number of columns to forecast.
    """

    columns: Sequence[str]
    mean: Sequence[float]
    deviation: Sequence[float]
    output_size: int
    input_length: int
    horizon: int
    time: str | None = None
    calendar: Sequence[str] = ()
    date_format: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None

    def __post_init__(self) -> None:
        self.scaling = Scaling.of(self.mean, self.deviation)
        self.options = CSVOptions(
            time=self.time,
            columns=tuple(self.columns),
            date_format=self.date_format,
            gaps=self.gaps,
            impute=self.impute,
        )

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the last window of a record with lists of steps as fields, ``(time, input)``."""
        return self._of_lists(record, "the record").inputs

    def examples(self, records: Iterable[Record]) -> Iterator[ForecastBatch]:
        """Yield windows without a batch dimension: one for all rows together, or one per record of lists."""
        rows: list[Row] = []
        header: list[str] = []
        for place, fields in records:
            if any(isinstance(value, list) for value in fields.values()):
                yield self._of_lists(fields, place)
                continue
            header = header or list(fields)
            if list(fields) != header:
                raise ValueError(f"{place}: must have the fields {', '.join(header)}, got {', '.join(fields)}")
            rows.append(Row(place, ["" if value is None else str(value) for value in fields.values()]))
        if rows:
            yield self._of_rows(header, rows, rows[0].place.partition(", line")[0])

    def window(self, series: SeriesTable) -> ForecastBatch:
        """Return the last window of a series and the future steps to forecast, with zero targets.

        Raises:
            ValueError: fewer steps than a window, or a value is too large.
        """
        steps, time, horizon = len(series.values), self.input_length, self.horizon
        if steps < time:
            raise ValueError(f"the model reads input_length={time} steps, the series has {steps}")
        if series.times is None or series.frequency is None:
            past = future = None
            times_ahead = torch.arange(steps, steps + horizon)
        else:
            past = series.times[-time:]
            future = series.frequency.after(series.times[-1], horizon)
            times_ahead = torch.from_numpy(future.astype("datetime64[us]").astype(np.int64))
        inputs = self.scaling.apply(series.values[-time:]).float()
        if not bool(inputs.isfinite().all()):
            name = series.names[int((~inputs.isfinite()).any(0).nonzero()[0])]
            raise ValueError(f"column {name}: a value is too large: scaled as in training, it is no finite number")
        return ForecastBatch(
            torch.cat([inputs, calendar_features(past, self.calendar, time)], 1),
            calendar_features(future, self.calendar, horizon),
            torch.zeros(horizon, self.output_size),
            times_ahead,
            series=torch.tensor(0),
            static=torch.zeros(0),
            mean=self.scaling.mean[: self.output_size],
            deviation=self.scaling.deviation[: self.output_size],
            seasonal_error=torch.ones(self.output_size, dtype=torch.float64),
            naive=inputs[-1:, : self.output_size].expand(horizon, -1),
        )

    def collate(self, examples: Sequence[ForecastBatch]) -> ForecastBatch:
        return ForecastBatch(*(torch.stack(parts) for parts in zip(*examples, strict=True)))

    def _of_lists(self, fields: Mapping[str, Any], place: str) -> ForecastBatch:
        wanted = [name for name in (self.time, *self.columns) if name is not None]
        for name in wanted:
            if not isinstance(fields.get(name), list):
                raise ValueError(f"{place}: the field {name!r} must be a list of steps, got {fields.get(name)!r}")
        header, rows = table_of({name: fields[name] for name in wanted}, place)
        return self._of_rows(header, rows, place)

    def _of_rows(self, header: Sequence[str], rows: Sequence[Row], place: str) -> ForecastBatch:
        series = series_of(header, rows, place, self.options)
        try:
            return self.window(series)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
