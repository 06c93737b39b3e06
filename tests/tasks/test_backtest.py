"""Backtests: every forecast beside what came, and metrics that follow from these rows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.cells import GRUCell
from seqmodels.config.build import build
from seqmodels.data import CSVSeriesData, DataModule
from seqmodels.models import DirectForecaster
from seqmodels.models.likelihoods import GaussianForecast
from seqmodels.tasks import Forecasting
from seqmodels.tasks.backtest import backtest
from tests.datasets import ready

HORIZON, ORIGINS, STEPS = 3, 4, 47
Rows = list[dict[str, Any]]


def sales(folder: Path, *, timed: bool = True, group: str = "shop", gaps: Sequence[int] = ()) -> DataModule:
    """Return two series of each of two shops, far from zero; the second shop opened 11 days later.

    Apples are not known in the steps ``gaps``.
    """
    lines = [f"day,{group},apples,pears"]
    for shop, first in (("north", 0), ("south", 11)):
        for step in range(first, STEPS):
            day = np.datetime64("2021-02-20") + step
            lines.append(f"{day},{shop},{'' if step in gaps else 1e9 + step % 7 + first},{float(np.sin(step)) + first}")
    path = folder / "sales.csv"
    path.write_text("\n".join(lines) + "\n")
    time = {"time": "day"} if timed else {"target": ["apples", "pears"]}
    steps = {"input_length": 5, "horizon": HORIZON, "split": [0.5, 0.1, 0.4]}
    impute = "forward" if gaps else None
    return ready(CSVSeriesData, path=path, group=group, impute=impute, batch_size=5, **steps, **time)


def trained(data: DataModule) -> Forecasting:
    names = ("input_size", "output_size", "horizon", "known_size", "static_size", "series")
    sizes = {name: data.sizes[name] for name in names}
    cell = partial(GRUCell, hidden_size=4)
    model = DirectForecaster(cell, **sizes, series_embedding=2, likelihood=GaussianForecast())
    own = {name: data.sizes[name] for name in ("names", "group", "keys", "time_style")}
    return Forecasting(model, torch.optim.Adam, **own)


def error(row: dict[str, Any]) -> float:
    return float(abs(row["forecast"] - row["actual"]))


def mean(rows: Rows, value: Any) -> float:
    return float(np.mean([value(row) for row in rows]))


def test_a_backtest_has_each_forecast_beside_what_came(tmp_path: Path) -> None:
    data = sales(tmp_path)
    rows = backtest(trained(data), data.split("test"), ORIGINS, batch_size=3).tables["backtest.csv"]
    keys = ["shop", "series", "origin", "step", "time", "forecast", "low", "high", "actual"]
    assert all(list(row) == keys for row in rows)
    table = np.genfromtxt(tmp_path / "sales.csv", delimiter=",", dtype=None, names=True, encoding="utf-8")
    came = {(str(row["day"]), row["shop"], name): row[name] for row in table for name in ("apples", "pears")}
    days = [str(np.datetime64("2021-02-20") + step) for step in range(STEPS - ORIGINS * HORIZON, STEPS)]
    expected = {(day, shop, name) for day in days for shop in ("north", "south") for name in ("apples", "pears")}
    found = {(row["time"], row["shop"], row["series"]): row["actual"] for row in rows}
    assert set(found) == expected
    assert len(rows) == len(expected)
    assert found == pytest.approx({key: came[key] for key in expected}, rel=1e-15, abs=1e-6)
    for row in rows:
        assert np.datetime64(row["origin"]) + row["step"] == np.datetime64(row["time"])
        assert row["low"] < row["forecast"] < row["high"]


def test_the_metrics_of_a_backtest_follow_from_its_rows(tmp_path: Path) -> None:
    data = sales(tmp_path)
    metrics, tables = backtest(trained(data), data.split("test"), ORIGINS, batch_size=3)
    rows = tables["backtest.csv"]

    def inside(row: dict[str, Any]) -> bool:
        return row["low"] <= row["actual"] <= row["high"]

    assert metrics["backtest/raw_mae"] == pytest.approx(mean(rows, error))
    assert metrics["backtest/coverage"] == pytest.approx(mean(rows, inside))
    for step, found in enumerate(tables["backtest_steps.csv"], start=1):
        mine = [row for row in rows if row["step"] == found["step"] == step]
        assert found["raw_mae"] == pytest.approx(mean(mine, error))
        assert found["coverage"] == pytest.approx(mean(mine, inside))
    assert len(tables["backtest_steps.csv"]) == HORIZON
    for found in tables["backtest_series.csv"]:
        mine = [row for row in rows if (row["shop"], row["series"]) == (found["shop"], found["series"])]
        assert found["steps"] == len(mine) == ORIGINS * HORIZON
        assert found["raw_mae"] == pytest.approx(mean(mine, error))
    assert len(tables["backtest_series.csv"]) == 4


def test_what_is_filled_in_is_no_actual_value(tmp_path: Path) -> None:
    gaps = (STEPS - 2, STEPS - 5)
    data = sales(tmp_path, group="origin", gaps=(3, *gaps))  # a name that the table has as well
    task = trained(data)
    preprocessing = build(data.preprocessing)
    for split in (data.split("test"), preprocessing.labelled(preprocessing.read(str(tmp_path / "sales.csv")), [])):
        metrics, tables = backtest(task, split, ORIGINS, batch_size=3)
        rows = tables["backtest.csv"]
        assert [row["input.origin"] for row in rows[:: len(rows) // 2]] == ["north", "south"]
        without = {(row["input.origin"], row["series"], row["time"]) for row in rows if row["actual"] is None}
        days = [str(np.datetime64("2021-02-20") + step) for step in gaps]
        assert without == {(shop, "apples", day) for shop in ("north", "south") for day in days}
        per_series = [
            mean([row for row in rows if row["series"] == name and row["actual"] is not None], error)
            for name in ("apples", "pears")
        ]
        assert metrics["backtest/raw_mae"] == pytest.approx(np.mean(per_series))


@pytest.mark.parametrize("timed", [True, False], ids=["times", "steps"])
def test_a_backtest_of_a_file_forecasts_what_prediction_does_from_the_steps_before(timed: bool, tmp_path: Path) -> None:
    data = sales(tmp_path, timed=timed)
    task, preprocessing = trained(data).eval(), build(data.preprocessing)
    path, short = tmp_path / "sales.csv", tmp_path / "short.csv"
    windows = preprocessing.labelled(preprocessing.read(str(path)), [])
    rows = backtest(task, windows, 1, batch_size=9).tables["backtest.csv"]
    header, *lines = path.read_text().splitlines()
    first = STEPS - HORIZON  # of the first shop
    short.write_text("\n".join([header, *lines[:first], *lines[STEPS:-HORIZON]]))
    found: Rows = []
    with torch.inference_mode():
        for example in preprocessing.examples(preprocessing.read(str(short))):
            (records,) = task.records(preprocessing.collate([example.value]), [])
            found += [{**example.fields, **record} for record in records]
    assert len(found) == len(rows) == 2 * 2 * HORIZON
    for row, record in zip(rows, found, strict=True):
        assert {name: row[name] for name in record} == pytest.approx(record, rel=1e-6)


def test_without_times_origins_and_times_are_numbers_of_steps(tmp_path: Path) -> None:
    data = sales(tmp_path, timed=False)
    rows = backtest(trained(data), data.split("test"), 2, batch_size=9).tables["backtest.csv"]
    assert {row["origin"] for row in rows if row["shop"] == "south"} == {STEPS - 11 - 1 - 3 * n for n in (1, 2)}
    assert all(row["time"] == row["origin"] + row["step"] for row in rows)


def test_a_backtest_of_no_window_is_refused_and_of_too_few_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = sales(tmp_path)
    task = trained(data)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        backtest(task, data.split("test"), 0, batch_size=3)
    with pytest.raises(ValueError, match="no series is long enough"):
        backtest(task, replace(data.split("test"), horizon=STEPS), 1, batch_size=3)
    with caplog.at_level("INFO"):
        backtest(task, data.split("test"), 99, batch_size=3)
    assert "of 198 forecasts" in caplog.text
