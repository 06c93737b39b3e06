"""Forecasting: metrics against their definitions, learning, records of a prediction."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.cells import GRUCell
from seqmodels.data import DataModule, ForecastBatch
from seqmodels.models import DirectForecaster, RecursiveForecaster, SequenceRegressor
from seqmodels.models.likelihoods import GaussianForecast, Likelihood, PointForecast, QuantileForecast
from seqmodels.tasks import Forecasting
from seqmodels.tasks.metrics.forecasts import KINDS
from tests.tasks.small import HORIZON, SEASON, forecasting, series, trainer


@pytest.fixture
def data(tmp_path: Path) -> DataModule:
    return series(tmp_path)


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
    network = forecasting(data)
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


@pytest.mark.parametrize("model", [DirectForecaster, RecursiveForecaster])
@pytest.mark.parametrize(
    "likelihood",
    [PointForecast("huber"), QuantileForecast(), GaussianForecast()],
    ids=lambda value: type(value).__name__,
)
def test_training_makes_every_loss_smaller(data: DataModule, model: Any, likelihood: Likelihood) -> None:
    network = forecasting(data, model, likelihood)
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
        (QuantileForecast([0.1, 0.5, 0.9]), ["forecast", "low", "high", "q0.1", "q0.5", "q0.9"]),
        (GaussianForecast(), ["forecast", "low", "high"]),
    ],
    ids=["point", "one_sided", "quantiles", "gaussian"],
)
def test_a_prediction_has_a_record_for_each_series_and_step(
    data: DataModule, likelihood: Likelihood, kinds: list[str]
) -> None:
    network = forecasting(data, likelihood=likelihood).eval()
    with torch.no_grad():
        windows = network.records(data.split("test").__getitems__([0, 2]), [])
    assert len(windows) == 2
    for records, first in zip(windows, (13, 15), strict=True):
        times = [f"2020-03-{first + step}" for step in range(HORIZON)]
        assert [tuple(record.values())[:3] for record in records] == [
            (name, step, time) for name in ("wave", "drift") for step, time in enumerate(times, start=1)
        ]
        for record in records:
            assert list(record) == ["series", "step", "time", *kinds]
            assert 60 < record["forecast"] < 140 or record["series"] == "drift", "in the units of the data"
            if "low" in kinds:
                assert record["low"] < record["forecast"] < record["high"]


@pytest.mark.parametrize("likelihood", [PointForecast(), QuantileForecast(), GaussianForecast()], ids=repr)
def test_values_far_from_zero_come_back_exactly(data: DataModule, likelihood: Likelihood) -> None:
    """A forecast of values near 1e9 is that of the values near 0, moved: float32 has steps of 128 there."""
    network = forecasting(data, likelihood=likelihood).eval()
    network.model.margin.fill_(0.25)
    batch: ForecastBatch = data.split("test").__getitems__([0, 1, 2])
    with torch.no_grad():
        moved = batch._replace(mean=batch.mean + 1.6e9)
        records, far = ([record for rows in network.records(each, []) for record in rows] for each in (batch, moved))
        params, shifted = (network.predict_step(each) for each in (batch, moved))
    for near, moved_record in zip(records, far, strict=True):
        for name in ("forecast", "low", "high"):
            assert moved_record[name] - 1.6e9 == pytest.approx(near[name], abs=1e-5)
        assert moved_record["high"] - moved_record["low"] > 0.01
    point = likelihood.point(shifted) - 1.6e9
    torch.testing.assert_close(point, likelihood.point(params), atol=1e-5, rtol=0)


def test_a_batch_on_another_device_keeps_its_scale_on_the_cpu(data: DataModule) -> None:
    batch: ForecastBatch = data.split("test").__getitems__([0, 1])
    devices = {name: value.device.type for name, value in batch.to("meta")._asdict().items()}
    assert {name for name, device in devices.items() if device == "cpu"} == {"mean", "deviation", "seasonal_error"}


def test_a_network_that_does_not_forecast_is_refused(data: DataModule) -> None:
    network: Any = SequenceRegressor(partial(GRUCell, hidden_size=3), input_size=2, output_size=2)
    with pytest.raises(TypeError, match=r"task=forecasting needs model=forecaster.*got SequenceRegressor"):
        Forecasting(network, torch.optim.Adam, names=["a"])


def test_only_training_shows_a_network_what_came(data: DataModule) -> None:
    network = forecasting(data, RecursiveForecaster).eval()
    batch: ForecastBatch = data.split("val").__getitems__([0, 1])
    other = batch._replace(targets=batch.targets + 1)
    with torch.no_grad():
        assert torch.equal(network.predict_step(batch), network.predict_step(other))
        network._begin("val")
        losses = [float(network.measure(each, "val")) for each in (batch, other)]
        forecast = network.model.likelihood.point(network.model(batch.inputs, batch.known))
    expected = [float((forecast - each.targets).square().mean()) for each in (batch, other)]
    assert losses == pytest.approx(expected)
