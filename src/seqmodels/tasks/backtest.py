"""Backtests: forecasts from several origins in the past, beside what came."""

import logging
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmodels.data.preprocessing import without_clashes
from seqmodels.data.series.windows import ForecastBatch, WindowDataset
from seqmodels.tasks.forecasting import BASELINES, Forecasting
from seqmodels.tasks.metrics.forecasts import KINDS, ForecastErrors, rows_by_series
from seqmodels.tasks.predictors.forecast_records import records_of, summary, time_texts

log = logging.getLogger(__name__)


class Backtest(NamedTuple):
    """Result of a backtest."""

    metrics: dict[str, float]
    """Over all windows, of the model and of the naive forecasts: ``backtest/mse``, ``backtest/persistence_mse``, ..."""
    tables: dict[str, list[dict[str, Any]]]
    """Rows of files, by name: ``backtest.csv``, every forecast with its group, series, origin (the time of the last
    known step), step, time and ``actual`` value, None where it was not in the file; ``backtest_steps.csv``, the metrics
    of each step of the horizon; if there are several groups or series, ``backtest_series.csv``, the metrics of each."""


def backtest(task: Forecasting, split: WindowDataset, origins: int, batch_size: int) -> Backtest:
    """Forecast the last windows of a split, from origins that are a horizon apart.

    Args:
        task: a trained model, which is not trained again: its training part should end before the first origin.
        split: windows of each group, the last of which are forecast.
        origins: number of windows to forecast in each group, or fewer if it is too short.
        batch_size: number of windows to forecast together.

    Raises:
        ValueError: ``origins`` is less than 1, or no group is long enough for a window.
    """
    if origins < 1:
        raise ValueError(f"backtest must be a number of origins, at least 1, got {origins}")
    windows = split.rolling(origins)
    if len(windows) == 0:
        raise ValueError(f"{split.place}: no series is long enough for a window and its horizon")
    wanted = origins * len(windows.spans)
    if len(windows) < wanted:
        log.info("%s: the series are long enough for %d of %d forecasts", split.place, len(windows), wanted)
    names, compared = task.names, ("model", *BASELINES)
    by_series = ForecastErrors(len(names), compared, groups=len(windows.spans)).to(task.device)
    # r2 compares with the mean of a group, and a step has none
    by_step = ForecastErrors(len(names), compared, KINDS[:-1], windows.horizon).to(task.device)
    rows: list[dict[str, Any]] = []
    task.eval()
    with torch.inference_mode():
        for numbers in torch.arange(len(windows)).split(batch_size):
            batch = windows.__getitems__(numbers.tolist()).to(task.device)
            params = task.params(batch)
            forecasts, bounds = task.compared(params, batch), task.model.interval(params, task.interval)
            by_series.update(forecasts, batch._replace(series=windows.rows[numbers].to(task.device)), bounds)
            steps = {name: steps_apart(forecast) for name, forecast in forecasts.items()}
            ends = None if bounds is None else (steps_apart(bounds[0]), steps_apart(bounds[1]))
            by_step.update(steps, step_batch(batch), ends)
            values = summary(task.model, params, task.interval) | {"actual": batch.targets}
            records = records_of(values, batch, names, task.time_style)
            rows += _rows(task, windows, numbers, _where_observed(records, batch.observed))
    metrics = {f"backtest/{name}": float(value) for name, value in by_series.compute().items()}
    groups = rows_by_series(by_series, names, task.group, windows.groups.keys)
    tables = {"backtest.csv": rows, "backtest_steps.csv": _rows_by_step(by_step)}
    return Backtest(metrics, tables | ({"backtest_series.csv": groups} if len(groups) > 1 else {}))


def steps_apart(values: Tensor) -> Tensor:
    """Return ``values (batch, horizon, series)`` with each step as a window of its own."""
    return values.flatten(0, 1)[:, None]


def step_batch(batch: ForecastBatch) -> ForecastBatch:
    """Return a batch with each step to forecast as a window of its own, and the number of the step as its group."""
    count, horizon = batch.targets.shape[:2]
    scales = (batch.mean, batch.deviation, batch.seasonal_error)
    mean, deviation, error = (scale.repeat_interleave(horizon, 0) for scale in scales)
    numbers = torch.arange(horizon, device=batch.targets.device).repeat(count)
    return batch._replace(
        targets=steps_apart(batch.targets),
        observed=steps_apart(batch.observed),
        series=numbers,
        mean=mean,
        deviation=deviation,
        seasonal_error=error,
    )


def _rows_by_step(errors: ForecastErrors) -> list[dict[str, Any]]:
    found = {name: values.tolist() for name, values in errors.of_groups().items()}
    return [
        {"step": index + 1, **{name: values[index] for name, values in found.items()}}
        for index in range(len(errors.count))
    ]


def _where_observed(forecasts: list[list[dict[str, Any]]], observed: Tensor) -> list[list[dict[str, Any]]]:
    """Return the records of windows without the actual values that were filled in."""
    return [
        [record if seen else record | {"actual": None} for record, seen in zip(records, window, strict=True)]
        for records, window in zip(forecasts, observed.transpose(1, 2).flatten(1).tolist(), strict=True)
    ]


def _rows(
    task: Forecasting, windows: WindowDataset, numbers: Tensor, forecasts: list[list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the records of windows with the group and the time of the last known step."""
    groups = windows.groups
    origins = time_texts(groups.times[windows.origins[numbers] - 1, None], task.time_style)
    rows = [
        (groups.keys[group], {"series": record["series"], "origin": origin, **record})
        for group, (origin,), records in zip(windows.rows[numbers].tolist(), origins, forecasts, strict=True)
        for record in records
    ]
    return [{**without_clashes(dict(zip(task.group, key, strict=True)), row), **row} for key, row in rows]
