"""Forecasts of series, with intervals and times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from seqmodels.data.preprocessing import without_clashes
from seqmodels.data.series.windows import ForecastBatch
from seqmodels.models import Forecaster
from seqmodels.tasks.predictors.forecast_records import records_of, summary
from seqmodels.tasks.predictors.predictor import Predictor, Record

PLACE = ("series", "step", "time")


class Forecast(NamedTuple):
    """The forecast of one or more series, or of one group of them, in the unit of the data."""

    times: list[Any]
    """The time of each step, as it is written in the data; its number if the data have no times."""
    values: dict[str, dict[str, list[float]]]
    """By series and kind, a value for each step: ``forecast``, the interval ``low`` to ``high``, and any quantiles."""
    group: dict[str, Any]
    """The group columns of a panel; empty for data of one group."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each series and step, as in a prediction file: group columns, series, step, time, values.

        Example:
            >>> forecast = Forecast(["2024-01-01"], {"load": {"forecast": [3.5], "low": [3.0], "high": [4.0]}}, {})
            >>> next(forecast.rows())
            {'series': 'load', 'step': 1, 'time': '2024-01-01', 'forecast': 3.5, 'low': 3.0, 'high': 4.0}
        """
        for name, kinds in self.values.items():
            for index, time in enumerate(self.times):
                values = {kind: steps[index] for kind, steps in kinds.items()}
                row = {"series": name, "step": index + 1, "time": time, **values}
                yield {**without_clashes(self.group, row), **row}


@dataclass
class ForecastPredictor(Predictor):
    """Forecasts with intervals.

    Args:
        model: a forecaster.
        names: names of the series.
        time_style: how times are written, see :func:`~seqmodels.tasks.predictors.forecast_records.time_texts`.
        interval: share of the outcomes that the interval ``low`` to ``high`` covers; by default, that of the
            likelihood.
    """

    model: Forecaster
    names: Sequence[str]
    time_style: Sequence[Any] | None = None
    interval: float | None = None

    def __post_init__(self) -> None:
        self.share = self.model.likelihood.share if self.interval is None else self.interval

    def params(self, batch: ForecastBatch, targets: Tensor | None = None) -> Tensor:
        """Return the likelihood parameters ``(batch, horizon, series, likelihood.size)``, scaled."""
        params: Tensor = self.model(batch.inputs, batch.known, targets, batch.static, batch.series)
        return params

    def records(self, batch: ForecastBatch, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return for each window the forecasts of each series and step, in this order."""
        return records_of(summary(self.model, self.params(batch), self.share), batch, self.names, self.time_style)

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> Forecast:
        names = list(dict.fromkeys(record["series"] for record in records))
        kinds = [kind for kind in records[0] if kind not in PLACE]
        series = {name: [record for record in records if record["series"] == name] for name in names}
        values = {name: {kind: [row[kind] for row in rows] for kind in kinds} for name, rows in series.items()}
        return Forecast([row["time"] for row in series[names[0]]], values, dict(fields))
