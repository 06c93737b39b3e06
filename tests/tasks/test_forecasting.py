"""Forecasting: metrics against their definitions, naive forecasts by hand, learning, records of a prediction."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.cells import GRUCell
from seqmodels.config.build import build
from seqmodels.data import CSVSeriesData, DataModule, ForecastBatch
from seqmodels.data.formats.records import Record
from seqmodels.models import DirectForecaster, RecursiveForecaster, SequenceRegressor
from seqmodels.models.likelihoods import GaussianForecast, Likelihood, PointForecast, QuantileForecast
from seqmodels.tasks import Forecasting
from seqmodels.tasks.forecast_metrics import KINDS, ForecastErrors, persistence
from tests.datasets import ready
from tests.tasks.small import trainer

SEASON, INPUT, HORIZON = 5, 11, 4


@pytest.fixture
def data(tmp_path: Path) -> DataModule:
    step = np.arange(90)
    table = np.stack([100 + 10 * np.sin(2 * np.pi * step / SEASON) + np.cos(7 * step), 0.01 * step + np.cos(step)], 1)
    path = tmp_path / "my.csv"
    days = np.datetime64("2020-01-01") + step
    lines = [f"{day},{float(a)!r},{float(b)!r}" for day, (a, b) in zip(days, table, strict=True)]
    path.write_text("day,wave,drift\n" + "\n".join(lines))
    steps = {"input_length": INPUT, "horizon": HORIZON, "season": SEASON}
    return ready(CSVSeriesData, path=path, time="day", **steps, batch_size=7)


def task(data: DataModule, model: Any = DirectForecaster, likelihood: Likelihood | None = None) -> Forecasting:
    sizes = data.sizes
    network = model(
        partial(GRUCell, hidden_size=9),
        **{name: sizes[name] for name in ("input_size", "output_size", "horizon")},
        likelihood=likelihood,
    )
    return Forecasting(network, partial(torch.optim.Adam, lr=0.02), names=sizes["names"])


def by_hand(forecast: np.ndarray, target: np.ndarray, data: DataModule, raw: np.ndarray) -> dict[str, float]:
    """Metrics of ``(windows, horizon, series)`` in the units of the data, each by its definition."""
    error = np.abs(forecast - target)
    scaled = error / data.split("train").groups.deviation[0].numpy()
    train = raw[:63]
    unit = np.abs(train[SEASON:] - train[:-SEASON]).mean(0)
    spread = ((target - target.mean((0, 1))) ** 2).sum((0, 1))
    return {
        "mse": (scaled**2).mean(),
        "mae": scaled.mean(),
        "rmse": (scaled**2).mean() ** 0.5,
        "raw_mse": (error**2).mean(),
        "raw_mae": error.mean(),
        "raw_rmse": (error**2).mean() ** 0.5,
        "smape": (200 * error / (np.abs(forecast) + np.abs(target))).mean(),
        "mase": (error.mean((0, 1)) / unit).mean(),
        "r2": (1 - (error**2).sum((0, 1)) / spread).mean(),
    }


def test_metrics_of_a_test_are_those_computed_by_hand_on_raw_numbers(data: DataModule, tmp_path: Path) -> None:
    network = task(data)
    metrics = trainer().test(network, datamodule=data, verbose=False)[0]
    raw = np.loadtxt(tmp_path / "my.csv", delimiter=",", skiprows=1, usecols=(1, 2))
    origins = range(72, 90 - HORIZON + 1)  # 63, 9 and 18 steps
    target = np.stack([raw[o : o + HORIZON] for o in origins])
    split = data.split("test")
    with torch.no_grad():
        own = network.predict_step(split.__getitems__(list(range(len(split))))).squeeze(-1).double().numpy()
    last = np.stack([raw[[o - 1] * HORIZON] for o in origins])
    season = np.stack([raw[[o + h - SEASON for h in range(HORIZON)]] for o in origins])
    for prefix, forecast in (("", own), ("persistence_", last), ("seasonal_naive_", season)):
        for kind, value in by_hand(forecast, target, data, raw).items():
            assert metrics[f"test/{prefix}{kind}"] == pytest.approx(value, rel=1e-4, abs=1e-5), prefix + kind
    assert set(metrics) == {"test/loss"} | {
        f"test/{prefix}{kind}" for prefix in ("", "persistence_", "seasonal_naive_") for kind in KINDS
    }


def test_persistence_repeats_the_last_value() -> None:
    inputs = torch.tensor([[[1.0], [2.0], [3.0], [4.0], [5.0]]])
    assert persistence(inputs, 3).flatten().tolist() == [5, 5, 5]


def test_metrics_do_not_hang_on_how_windows_are_batched() -> None:
    forecasts, targets = torch.randn(9, 4, 2), torch.randn(9, 4, 2)
    scales = torch.rand(3, 9, 2).double() + 0.1
    whole, parts = (ForecastErrors(2, ["model"]) for _ in range(2))
    whole.update({"model": forecasts}, targets, *scales)
    for rows in ([0, 1, 2, 3, 4, 5], [6], [7, 8]):
        parts.update({"model": forecasts[rows]}, targets[rows], *scales[:, rows])
    for name, value in whole.compute().items():
        torch.testing.assert_close(parts.compute()[name], value)


def test_a_forecast_of_zero_for_zero_has_no_relative_error() -> None:
    errors = ForecastErrors(1, ["model"])
    errors.update({"model": torch.zeros(2, 3, 1)}, torch.zeros(2, 3, 1), torch.zeros(2, 1), *torch.ones(2, 2, 1))
    assert errors.compute()["smape"] == 0


@pytest.mark.parametrize("model", [DirectForecaster, RecursiveForecaster])
@pytest.mark.parametrize(
    "likelihood",
    [PointForecast("huber"), QuantileForecast(), GaussianForecast()],
    ids=lambda value: type(value).__name__,
)
def test_training_makes_every_loss_smaller(data: DataModule, model: Any, likelihood: Likelihood) -> None:
    network = task(data, model, likelihood)
    before = trainer().validate(network, datamodule=data, verbose=False)[0]["val/loss"]
    fitting = trainer(max_epochs=2)
    fitting.fit(network, datamodule=data)
    assert float(fitting.callback_metrics["val/loss"]) < before
    assert set(fitting.callback_metrics) == {"train/loss", "val/loss", "val/mse", "val/mae"}


@pytest.mark.parametrize(
    ("likelihood", "kinds"),
    [
        (PointForecast(), ["forecast"]),
        (QuantileForecast([0.1, 0.5]), ["forecast", "q0.1", "q0.5"]),
        (GaussianForecast(), ["forecast", "low", "high"]),
    ],
)
def test_a_prediction_names_every_step_its_time_and_each_series(
    data: DataModule, likelihood: Likelihood, kinds: list[str], tmp_path: Path
) -> None:
    network = task(data, likelihood=likelihood).eval()
    preprocessing = build(data.preprocessing)
    lines = (tmp_path / "my.csv").read_text().splitlines()
    rows = [Record("new", dict(zip(lines[0].split(","), line.split(","), strict=True))) for line in lines[1:]]
    batch = preprocessing.collate(list(preprocessing.examples(rows)))
    with torch.no_grad():
        records = network.records(batch, [])
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert [record["time"] for record in records] == ["2020-03-31", "2020-04-01", "2020-04-02", "2020-04-03"]
    for record in records:
        assert list(record) == ["step", "time", "wave", "drift"]
        assert list(record["wave"]) == kinds
        assert 60 < record["wave"]["forecast"] < 140, "in the units of the data"
        if "low" in kinds:
            assert record["wave"]["low"] < record["wave"]["forecast"] < record["wave"]["high"]


def test_a_network_that_does_not_forecast_is_refused(data: DataModule) -> None:
    network: Any = SequenceRegressor(partial(GRUCell, hidden_size=3), input_size=2, output_size=2)
    with pytest.raises(TypeError, match=r"task=forecasting needs model=forecaster.*got SequenceRegressor"):
        Forecasting(network, torch.optim.Adam, names=["a"])


def test_only_training_shows_a_network_what_came(data: DataModule) -> None:
    network = task(data, RecursiveForecaster).eval()
    batch: ForecastBatch = data.split("val").__getitems__([0, 1])
    other = batch._replace(targets=batch.targets + 1)
    with torch.no_grad():
        assert torch.equal(network.predict_step(batch), network.predict_step(other))
        network._begin("val")
        losses = [float(network.measure(each, "val")) for each in (batch, other)]
        forecast = network.model.likelihood.point(network.model(batch.inputs, batch.known))
    expected = [float((forecast - each.targets).square().mean()) for each in (batch, other)]
    assert losses == pytest.approx(expected)
