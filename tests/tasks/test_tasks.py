"""Tasks under a trainer."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from torchmetrics.functional import r2_score

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.data import AddingData, DigitsData, ParityData, SequenceBatch, SequenceDataModule
from seqmodels.models import SequenceClassifier, SequenceRegressor
from seqmodels.tasks import Classification, Regression, Task
from tests.conftest import TOLERANCE

FLOAT32 = TOLERANCE[torch.float32]


def trainer(**options: Any) -> Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


def parity(**options: Any) -> ParityData:
    rows = {"train_rows": 48, "val_rows": 13, "test_rows": 17}
    return ParityData(**{"max_length": 7, "batch_size": 5, **rows, **options})


def adding(**options: Any) -> AddingData:
    rows = {"train_rows": 48, "val_rows": 13, "test_rows": 17}
    return AddingData(**{"time": 7, "batch_size": 5, **rows, **options})


def classification(
    data: SequenceDataModule, *, scheduler: Any = None, lr: float = 1e-2, hidden: int = 5
) -> Classification:
    cell = partial(LSTMCell, hidden_size=hidden)
    model = SequenceClassifier(cell, input_size=data.sizes["input_size"], output_size=data.sizes["output_size"])
    optimizer = partial(torch.optim.Adam, lr=lr)
    return Classification(model, optimizer, scheduler, output_size=data.sizes["output_size"])


def regression(data: SequenceDataModule, *, scheduler: Any = None, lr: float = 1e-2, hidden: int = 5) -> Regression:
    cell = partial(GRUCell, hidden_size=hidden)
    model = SequenceRegressor(cell, input_size=data.sizes["input_size"], output_size=data.sizes["output_size"])
    return Regression(model, partial(torch.optim.Adam, lr=lr), scheduler)


TASKS: list[tuple[Callable[..., Task], Callable[..., SequenceDataModule], set[str]]] = [
    (classification, parity, {"loss", "accuracy", "precision", "recall", "f1"}),
    (regression, adding, {"loss", "mae", "rmse", "r2"}),
]


def whole_test(data: SequenceDataModule) -> SequenceBatch:
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
    data = DigitsData(batch_size=7)
    model = classification(data)
    (metrics,) = trainer().test(model, data, verbose=False)
    batch = whole_test(data)
    logits = model(batch.inputs, batch.lengths)
    predicted, true = logits.argmax(-1).tolist(), batch.targets.tolist()
    counts = torch.zeros(10, 10)
    for row, column in zip(true, predicted, strict=True):
        counts[row, column] += 1
    hits, truth, said = counts.diag(), counts.sum(1), counts.sum(0)
    precision, recall = hits / said.clamp(min=1), hits / truth
    f1 = 2 * hits / (truth + said)
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


class Rates(Callback):
    """Remembers the learning rate of every training step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(scheduler: Any, epochs: int = 3) -> list[float]:
    """Train 10 steps an epoch from a rate of 1; return the rate of every step."""
    lightning.seed_everything(0, verbose=False)
    data, callback = parity(train_rows=50), Rates()
    trainer(max_epochs=epochs, callbacks=[callback]).fit(classification(data, scheduler=scheduler, lr=1.0), data)
    return callback.seen


def test_a_schedule_counts_epochs() -> None:
    assert rates(partial(StepLR, step_size=1, gamma=0.5)) == [1.0] * 10 + [0.5] * 10 + [0.25] * 10


def test_a_schedule_with_total_steps_counts_steps_and_is_told_how_many() -> None:
    seen = rates(partial(OneCycleLR, max_lr=2.0, pct_start=0.5, cycle_momentum=False))
    assert len(seen) == 30
    assert max(seen) == pytest.approx(2.0)
    assert seen[14] == max(seen)
    assert seen[-1] < 0.01
    bound = rates(partial(OneCycleLR, max_lr=2.0, pct_start=0.5, total_steps=60, cycle_momentum=False))
    assert bound[-1] == pytest.approx(2.0)


def test_a_plateau_is_seen_in_the_validation_loss() -> None:
    seen = rates(partial(ReduceLROnPlateau, patience=0, threshold=1e9, threshold_mode="abs", factor=0.1))
    assert seen == pytest.approx([1.0] * 20 + [0.1] * 10)


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


def test_an_lstm_learns_the_parity_of_up_to_five_bits() -> None:
    data = ParityData(max_length=5, train_rows=1000, val_rows=62, test_rows=300, batch_size=32)
    model = classification(data, lr=2e-2, hidden=24)
    runner = trainer(max_epochs=12)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/accuracy"] >= 0.98


def test_a_gru_learns_to_add_two_marked_numbers() -> None:
    data = AddingData(time=6, train_rows=2000, val_rows=100, test_rows=300, batch_size=32)
    model = regression(data, hidden=32)
    runner = trainer(max_epochs=8)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/r2"] >= 0.95  # a constant answer has 0


def test_an_lstm_learns_digits() -> None:
    data = DigitsData()
    model = classification(data, lr=1e-2, hidden=64)
    runner = trainer(max_epochs=5)
    runner.fit(model, data)
    (metrics,) = runner.test(model, data, verbose=False)
    assert metrics["test/accuracy"] >= 0.92


def test_two_processes_report_what_one_does() -> None:
    model = classification(parity())
    (alone,) = trainer().test(model, parity(), verbose=False)
    (together,) = trainer(devices=2, strategy="ddp_spawn").test(model, parity(), verbose=False)  # 17 rows: 9 and 8
    assert together == pytest.approx(alone, rel=1e-5)


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
