"""Small tasks, data and a quiet trainer, for the tests of this folder."""

from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import AddingData, DataModule, ParityData
from seqmodels.models import SequenceClassifier, SequenceRegressor
from seqmodels.tasks import Classification, Regression
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
