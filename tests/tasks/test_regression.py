"""Regression on standardised targets: metrics, baseline and predictions are in the unit of the data."""

from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from seqmodels.data import SequenceBatch
from seqmodels.tasks import Regression
from tests.conftest import TOLERANCE

MEAN, DEVIATION = [1.6e9, -2.0], [3.0, 0.25]
TARGETS = torch.tensor([[0.5, -1.0], [-1.5, 0.5], [1.0, 0.5]])
BATCH = SequenceBatch(torch.randn(3, 4, 2), torch.tensor([4, 3, 1]), TARGETS)
UNIT = {"target_mean": MEAN, "target_deviation": DEVIATION, "target_names": ["kwh", "bar"]}


class Fixed(nn.Module):
    """Always predict the same standardised values."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return torch.tensor([[0.25, -1.0], [-1.0, 1.0], [1.5, 0.0]])


def task(**options: Any) -> Regression:
    return Regression(Fixed(), partial(torch.optim.SGD, lr=0.1), **options)


def metrics(found: Regression) -> dict[str, Tensor]:
    found.measure(BATCH, "test")
    computed = cast(MetricCollection, found.metrics["test"]).compute()
    return {name.removeprefix("test/"): value for name, value in computed.items()}


def test_metrics_are_those_of_the_values_in_their_units() -> None:
    found = metrics(task(**UNIT))
    errors = (Fixed()(*BATCH[:2]) - TARGETS).double() * torch.tensor(DEVIATION)
    baseline = TARGETS.double() * torch.tensor(DEVIATION)
    expected = {
        "mae": errors.abs().mean(),
        "rmse": errors.square().mean().sqrt(),
        "train_mean_mae": baseline.abs().mean(),
        "train_mean_rmse": baseline.square().mean().sqrt(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value.double(), **TOLERANCE[torch.float32])
    centred = TARGETS - TARGETS.mean(0)
    r2 = 1 - (Fixed()(*BATCH[:2]) - TARGETS).square().sum(0) / centred.square().sum(0)
    torch.testing.assert_close(found["r2"], r2.mean(), **TOLERANCE[torch.float32])


def test_targets_without_a_unit_have_no_baseline() -> None:
    assert set(metrics(task())) == {"mae", "rmse", "r2"}


def test_the_loss_is_that_of_the_standardised_values() -> None:
    assert task(**UNIT).measure(BATCH, "train") == task().measure(BATCH, "train")


def test_predictions_are_in_units_to_the_last_digit() -> None:
    first, *_ = task(**UNIT).records(BATCH, ())
    assert first == [{"values": {"kwh": 1.6e9 + 0.75, "bar": -2.25}}]
    assert task().records(BATCH, ())[0] == [{"values": [0.25, -1.0]}]


@pytest.mark.parametrize("options", [{"target_mean": [0.0]}, {"target_mean": [0.0], "target_deviation": [1.0, 2.0]}])
def test_a_unit_that_is_not_whole_is_refused(options: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="target_mean and target_deviation must have one value per output"):
        task(**options)
