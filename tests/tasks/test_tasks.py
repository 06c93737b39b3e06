"""Tasks under a trainer."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics.functional import r2_score

from seqmodels.data import DataModule, DigitsData, SequenceBatch
from seqmodels.tasks import Classification, Task
from tests.conftest import TOLERANCE
from tests.datasets import ready
from tests.tasks.small import adding, classification, parity, regression, trainer

FLOAT32 = TOLERANCE[torch.float32]


TASKS: list[tuple[Callable[..., Task], Callable[..., DataModule], set[str]]] = [
    (classification, parity, {"loss", "accuracy", "precision", "recall", "f1", "auroc"}),
    (regression, adding, {"loss", "mae", "rmse", "r2"}),
]


def whole_test(data: DataModule) -> SequenceBatch:
    split = data.split("test")
    return split.__getitems__(list(range(len(split))))


@pytest.mark.parametrize(("task", "data", "names"), TASKS)
def test_an_epoch_and_a_test_log_every_metric_under_its_stage(task: Any, data: Any, names: set[str]) -> None:
    module, runner = data(), trainer(max_epochs=1)
    model = task(module)
    assert model.needs == module.target_kind
    runner.fit(model, module)
    trained = {"train/loss"} | ({"train/accuracy"} if "accuracy" in names else set())
    assert set(runner.callback_metrics) == trained | {f"val/{name}" for name in names}
    (metrics,) = runner.test(model, module, verbose=False)
    assert set(metrics) == {f"test/{name}" for name in names}
    assert all(torch.isfinite(value) for value in runner.callback_metrics.values())


@pytest.mark.parametrize(("task", "data", "names"), TASKS)
def test_metrics_do_not_depend_on_padding_or_on_the_size_of_the_batches(task: Any, data: Any, names: set[str]) -> None:
    model = task(data())
    found = []
    for batch_size in (1, 5, 17):
        (metrics,) = trainer().test(model, data(batch_size=batch_size), verbose=False)
        found.append([metrics[f"test/{name}"] for name in sorted(names)])
    for other in found[1:]:
        torch.testing.assert_close(torch.tensor(other), torch.tensor(found[0]), **FLOAT32)


def test_classification_reports_what_counting_by_hand_gives() -> None:
    data = ready(DigitsData, batch_size=7)
    model = classification(data)
    (metrics,) = trainer().test(model, data, verbose=False)
    batch = whole_test(data)
    logits = model(batch.inputs, batch.lengths)
    predicted, true = logits.argmax(-1).tolist(), batch.targets.tolist()
    counts = torch.zeros(10, 10)
    for row, column in zip(true, predicted, strict=True):
        counts[row, column] += 1
    hits, truth, positives = counts.diag(), counts.sum(1), counts.sum(0)
    precision, recall = hits / positives.clamp(min=1), hits / truth
    f1 = 2 * hits / (truth + positives)
    expected = {
        "test/loss": F.cross_entropy(logits, batch.targets),
        "test/accuracy": hits.sum() / counts.sum(),
        "test/precision": precision.mean(),
        "test/recall": recall.mean(),
        "test/f1": f1.mean(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(metrics[name]), value.detach(), **FLOAT32)
    assert torch.equal(model.confusion_matrix, counts.long())


def test_a_second_test_does_not_add_to_the_first() -> None:
    data = parity()
    model = classification(data)
    for _ in range(2):
        trainer().test(model, data, verbose=False)
        assert int(model.confusion_matrix.sum()) == 17


def test_regression_reports_what_counting_by_hand_gives() -> None:
    data = adding()
    model = regression(data)
    (metrics,) = trainer().test(model, data, verbose=False)
    batch = whole_test(data)
    values = model(batch.inputs, batch.lengths).detach()
    error = values - batch.targets
    expected = {
        "test/loss": error.square().mean(),
        "test/mae": error.abs().mean(),
        "test/rmse": error.square().mean().sqrt(),
        "test/r2": 1 - error.square().sum() / (batch.targets - batch.targets.mean()).square().sum(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(metrics[name]), value, **FLOAT32)
    torch.testing.assert_close(r2_score(values, batch.targets), expected["test/r2"], **FLOAT32)


def test_r2_of_one_row_is_no_number_and_no_error() -> None:
    data = adding(test_rows=1)
    (metrics,) = trainer().test(regression(data), data, verbose=False)
    assert metrics["test/mae"] >= 0
    assert math.isnan(metrics["test/r2"])


def test_predictions_are_probabilities_in_the_order_of_the_test_split() -> None:
    data = parity()
    model = classification(data)
    predicted = trainer().predict(model, data)
    assert predicted is not None
    batch = whole_test(data)
    expected = model(batch.inputs, batch.lengths).softmax(-1).detach()
    probabilities = torch.cat([Tensor(part) for part in predicted])
    torch.testing.assert_close(probabilities, expected, **FLOAT32)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(17), **FLOAT32)


@pytest.mark.parametrize("value", [2, -1])
def test_a_class_that_does_not_exist_is_refused_by_row_and_value(value: int) -> None:
    batch = SequenceBatch(torch.zeros(3, 4, 1), torch.tensor([4, 4, 4]), torch.tensor([0, 1, value]))
    with pytest.raises(ValueError, match=f"row 2 of the batch: a class must be 0 to 1, got {value}"):
        classification(parity()).measure(batch, "train")


def test_targets_that_would_be_spread_over_the_batch_are_refused() -> None:
    batch = SequenceBatch(torch.zeros(3, 4, 2), torch.tensor([4, 4, 4]), torch.zeros(3))
    with pytest.raises(ValueError, match=r"targets must have the shape of the model's values \(3, 1\), got \(3,\)"):
        regression(adding()).measure(batch, "train")


def test_one_class_is_none() -> None:
    with pytest.raises(ValueError, match="output_size must be at least 2 classes, got 1"):
        Classification(nn.Linear(1, 1), torch.optim.SGD, output_size=1)


def test_the_same_seed_trains_the_same_weights() -> None:
    def weights() -> Tensor:
        torch.manual_seed(3)
        data = parity()
        model = classification(data)
        trainer(max_epochs=2).fit(model, data)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(weights(), weights())


def test_training_sees_the_batches_that_a_plain_loop_sees() -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            self.rows: list[Tensor] = []

        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            self.rows.append(batch.inputs)

    callback, data = Seen(), parity()
    trainer(max_epochs=2, callbacks=[callback]).fit(classification(data), data)
    loader = data.train_dataloader()
    plain = [batch.inputs for _ in range(2) for batch in loader]
    assert len(plain) == len(callback.rows) == 20
    assert all(torch.equal(a, b) for a, b in zip(plain, callback.rows, strict=True))


def test_overfitting_a_few_batches_means_the_same_ones_every_epoch() -> None:
    data = parity()
    runner = trainer(max_epochs=2, overfit_batches=2)
    runner.fit(classification(data), data)
    assert torch.equal(
        next(iter(data.train_dataloader())).inputs, data.split("train").__getitems__(list(range(5))).inputs
    )


def test_metrics_start_from_nothing_after_an_epoch_that_was_interrupted() -> None:
    class Interrupt(Callback):
        def on_test_batch_end(self, *_: Any) -> None:
            raise RuntimeError("interrupted")

    data, model = parity(), classification(parity())
    (whole,) = trainer().test(model, data, verbose=False)
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer(callbacks=[Interrupt()]).test(model, data, verbose=False)
    (again,) = trainer().test(model, data, verbose=False)
    assert again == whole


def test_a_fast_development_run_goes_through_every_stage() -> None:
    data = parity()
    model = classification(data, scheduler=ReduceLROnPlateau)
    runner = trainer(fast_dev_run=True)
    runner.fit(model, data)
    assert {"train/loss", "val/loss"} < set(runner.callback_metrics)
