"""Small tasks, data and a quiet trainer, for the tests of this folder."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import AddingData, CSVSeriesData, DataModule, ParityData
from seqmodels.models import DirectForecaster, SequenceClassifier, SequenceRegressor
from seqmodels.models.likelihoods import Likelihood
from seqmodels.tasks import Classification, Forecasting, Regression
from tests.datasets import ready


def trainer(**options: Any) -> Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


def parity(**options: Any) -> DataModule:
    rows = {"train_rows": 48, "val_rows": 13, "test_rows": 17}
    return ready(ParityData, **{"max_length": 7, "batch_size": 5, **rows, **options})


def adding(**options: Any) -> DataModule:
    rows = {"train_rows": 48, "val_rows": 13, "test_rows": 17}
    return ready(AddingData, **{"time": 7, "batch_size": 5, **rows, **options})


def classification(data: DataModule, *, scheduler: Any = None, lr: float = 1e-2, hidden: int = 5) -> Classification:
    cell = partial(LSTMCell, hidden_size=hidden)
    model = SequenceClassifier(cell, input_size=data.sizes["input_size"], output_size=data.sizes["output_size"])
    optimizer = partial(torch.optim.Adam, lr=lr)
    return Classification(model, optimizer, scheduler, output_size=data.sizes["output_size"])


def regression(data: DataModule, *, scheduler: Any = None, lr: float = 1e-2, hidden: int = 5) -> Regression:
    cell = partial(GRUCell, hidden_size=hidden)
    model = SequenceRegressor(cell, input_size=data.sizes["input_size"], output_size=data.sizes["output_size"])
    return Regression(model, partial(torch.optim.Adam, lr=lr), scheduler)


SEASON, INPUT, HORIZON = 5, 11, 4  # of the series


def series(folder: Path) -> DataModule:
    """Return 90 days of two series, of which 63 are for training and 9 for validation."""
    step = np.arange(90)
    table = np.stack([100 + 10 * np.sin(2 * np.pi * step / SEASON) + np.cos(7 * step), 0.01 * step + np.cos(step)], 1)
    path = folder / "my.csv"
    days = np.datetime64("2020-01-01") + step
    lines = [f"{day},{float(a)!r},{float(b)!r}" for day, (a, b) in zip(days, table, strict=True)]
    path.write_text("day,wave,drift\n" + "\n".join(lines))
    steps = {"input_length": INPUT, "horizon": HORIZON, "season": SEASON}
    return ready(CSVSeriesData, path=path, time="day", **steps, batch_size=7)


def forecasting(
    data: DataModule, model: Any = DirectForecaster, likelihood: Likelihood | None = None, **options: Any
) -> Forecasting:
    sizes = {name: data.sizes[name] for name in ("input_size", "output_size", "horizon", "known_size")}
    network = model(partial(GRUCell, hidden_size=9), **sizes, likelihood=likelihood)
    return Forecasting(network, partial(torch.optim.Adam, lr=0.02), names=data.sizes["names"], **options)
