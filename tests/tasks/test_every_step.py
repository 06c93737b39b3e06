"""Stepwise outputs: only real steps count, all with equal weight."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqmodels.cells import GRUCell
from seqmodels.data import CopyMemoryData, DataModule, RaggedDataset, SequenceBatch
from seqmodels.models import SequenceClassifier, SequenceRegressor
from seqmodels.models.pooling import every_step, last
from seqmodels.tasks import Classification, Regression
from tests.conftest import TOLERANCE
from tests.datasets import given, ready
from tests.tasks.small import adding, trainer

FLOAT32 = TOLERANCE[torch.float32]


def running_means(*, batch_size: int = 5) -> DataModule:
    """Sequence to sequence: at every step the running mean of each of three channels, with the second negated."""
    generator = torch.Generator().manual_seed(3)
    splits = {name: _split(rows, generator) for name, rows in (("train", 40), ("val", 7), ("test", 11))}
    return given(splits, "regression", {"input_size": 3, "output_size": 2}, batch_size=batch_size)


def _split(rows: int, generator: torch.Generator) -> RaggedDataset:
    lengths = torch.randint(1, 9, (rows,), generator=generator).tolist()
    sequences = [torch.randn(length, 3, generator=generator) for length in lengths]
    means = [x.cumsum(0) / torch.arange(1, len(x) + 1)[:, None] for x in sequences]
    return RaggedDataset(sequences, [mean[:, :2] * torch.tensor([1.0, -1.0]) for mean in means])


def regression(loss: Any = "mse", *, pooling: Any = every_step) -> Regression:
    cell = partial(GRUCell, hidden_size=5)
    model = SequenceRegressor(cell, input_size=3, output_size=2, pooling=pooling)
    return Regression(model, partial(torch.optim.Adam, lr=1e-2), loss=loss)


def real(data: DataModule) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs and targets of each row of the test split, without padding."""
    split = data.split("test")
    rows = [split[row] for row in range(len(split))]
    return [row.inputs for row in rows], [row.targets for row in rows]


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_regression_at_every_step_is_what_the_steps_one_by_one_give(loss: str) -> None:
    data, model = running_means(), regression(loss)
    (metrics,) = trainer().test(model, data, verbose=False)
    inputs, targets = real(data)
    values = torch.cat([model(x[None])[0] for x in inputs]).detach()
    error = values - torch.cat(targets)
    absolute = error.abs()
    expected = {
        "test/loss": {
            "mse": error.square().mean(),
            "mae": absolute.mean(),
            "huber": torch.where(absolute < 1, error.square() / 2, absolute - 0.5).mean(),
        }[loss],
        "test/mae": absolute.mean(),
        "test/rmse": error.square().mean().sqrt(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(metrics[name]), value, **FLOAT32)


def test_classification_at_every_step_is_what_the_steps_one_by_one_give() -> None:
    data = ready(CopyMemoryData, time=3, memory=2, train_rows=5, val_rows=5, test_rows=11, batch_size=4)
    model = SequenceClassifier(partial(GRUCell, hidden_size=5), input_size=1, output_size=9, pooling=every_step)
    task = Classification(model, torch.optim.SGD, output_size=9)
    (metrics,) = trainer().test(task, data, verbose=False)
    inputs, targets = real(data)
    logits = torch.cat([model(x[None])[0] for x in inputs]).detach()
    loss = F.cross_entropy(logits, torch.cat(targets))
    accuracy = (logits.argmax(-1) == torch.cat(targets)).float().mean()
    torch.testing.assert_close(torch.tensor(metrics["test/loss"]), loss, **FLOAT32)
    torch.testing.assert_close(torch.tensor(metrics["test/accuracy"]), accuracy, **FLOAT32)
    assert int(task.confusion_matrix.sum()) == 11 * 7


def test_metrics_do_not_depend_on_the_batches_that_steps_come_in() -> None:
    model = regression()
    found = []
    for batch_size in (1, 3, 11):
        (metrics,) = trainer().test(model, running_means(batch_size=batch_size), verbose=False)
        found.append(torch.tensor([metrics[name] for name in sorted(metrics)]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], **FLOAT32)


def test_padding_has_no_gradient() -> None:
    x = torch.randn(3, 7, 3, requires_grad=True)
    batch = SequenceBatch(x, torch.tensor([7, 2, 4]), torch.randn(3, 7, 2))
    (gradient,) = torch.autograd.grad(regression().measure(batch, "train"), x)
    assert torch.equal(gradient.abs().sum(-1) > 0, torch.arange(7) < batch.lengths[:, None])


def test_running_means_are_learnt() -> None:
    data, model = running_means(), regression()
    (before,) = trainer().test(model, data, verbose=False)
    trainer(max_epochs=20).fit(model, data)
    (after,) = trainer().test(model, data, verbose=False)
    assert after["test/loss"] < before["test/loss"] / 3


def test_targets_for_steps_and_a_pooled_network_do_not_fit_and_the_other_way_round() -> None:
    with pytest.raises(ValueError, match=r"one target for every step; choose pooling=every_step"):
        trainer().test(regression(pooling=last), running_means(), verbose=False)
    data = adding()
    data.setup("fit")
    cell = partial(GRUCell, hidden_size=5)
    stepwise = SequenceRegressor(cell, input_size=2, output_size=1, pooling=every_step)
    batch = next(iter(data.train_dataloader()))
    with pytest.raises(ValueError, match=r"one target for a whole sequence; choose another pooling than every_step"):
        Regression(stepwise, torch.optim.SGD).measure(batch, "train")


def test_an_unknown_loss_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="loss must be one of mse, mae, huber, got 'l1'"):
        regression("l1")


def test_predictions_of_a_row_are_those_of_its_real_steps() -> None:
    data, model = running_means(), regression()
    data.setup("fit")
    batch = data.split("test").__getitems__(list(range(11)))
    records = model.records(batch, ())
    assert [len(record["values"]) for (record,) in records] == batch.lengths.tolist()
    alone = model(batch.inputs[3:4, : batch.lengths[3]])[0]
    torch.testing.assert_close(torch.tensor(records[3][0]["values"]), alone.detach(), **FLOAT32)
