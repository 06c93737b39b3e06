"""Stepwise targets: all real steps have equal weight, padding has none."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from seqmodels.cells import GRUCell
from seqmodels.data import SequenceBatch
from seqmodels.models import SequenceClassifier, SequenceRegressor
from seqmodels.models.pooling import every_step
from seqmodels.tasks import Classification, Regression
from seqmodels.tasks.means import Means
from seqmodels.tasks.regression import Loss
from seqmodels.tasks.steps import real_steps
from tests.conftest import TOLERANCE

LENGTHS = torch.tensor([4, 1, 3])
CELL = partial(GRUCell, hidden_size=5)
ADAM = partial(torch.optim.Adam, lr=1e-2)


def test_real_steps_are_those_before_a_sequence_ends() -> None:
    outputs, classes = torch.randn(3, 4, 2), torch.arange(12).reshape(3, 4)
    entries = real_steps(outputs, SequenceBatch(torch.zeros(3, 4, 1), LENGTHS, classes))
    found, targets, _ = entries.without_padding()
    assert int(entries.number) == 8
    assert targets.tolist() == [0, 1, 2, 3, 4, 8, 9, 10]
    assert torch.equal(found, outputs.flatten(0, 1)[targets])


@pytest.mark.parametrize("stage", ["train", "test"])
def test_the_loss_of_a_padded_batch_is_the_mean_over_its_real_steps(stage: str) -> None:
    model = SequenceClassifier(CELL, input_size=2, output_size=3, pooling=every_step)
    task = Classification(model, ADAM, output_size=3)
    x, classes = torch.randn(3, 4, 2), torch.randint(3, (3, 4))
    alone = [
        F.cross_entropy(model(x[row : row + 1, :length])[0], classes[row, :length], reduction="none")
        for row, length in enumerate(LENGTHS.tolist())
    ]
    loss = task.measure(SequenceBatch(x, LENGTHS, classes), stage)  # type: ignore[arg-type]
    torch.testing.assert_close(loss, torch.cat(alone).mean(), **TOLERANCE[torch.float32])


def test_the_mean_of_an_epoch_counts_every_real_step_once() -> None:
    model = SequenceClassifier(CELL, input_size=2, output_size=3, pooling=every_step)
    task = Classification(model, ADAM, output_size=3, class_weights=[1.0, 2.0, 3.0])
    batches = [
        SequenceBatch(torch.randn(3, 4, 2), lengths, torch.randint(3, (3, 4))) for lengths in (LENGTHS, LENGTHS.flip(0))
    ]
    losses = torch.stack([task.measure(batch, "train") * batch.lengths.sum() for batch in batches])
    saved, means = task._means["train"].state_dict(), Means()
    means.load_state_dict(saved, torch.device("cpu"))
    for each in (means, task._means["train"]):
        found = each.take(lambda total: total)
        torch.testing.assert_close(found["loss"], losses.detach().sum() / 16, **TOLERANCE[torch.float32])
        assert 0 <= found["accuracy"] <= 1


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_a_loss_of_values_is_a_mean_over_real_steps_and_outputs(loss: Loss) -> None:
    model = SequenceRegressor(CELL, input_size=2, output_size=3, pooling=every_step)
    x, values = torch.randn(3, 4, 2), torch.randn(3, 4, 3)
    alone = [
        getattr(F, {"mse": "mse_loss", "mae": "l1_loss", "huber": "huber_loss"}[loss])(
            model(x[row : row + 1, :length])[0], values[row, :length], reduction="none"
        )
        for row, length in enumerate(LENGTHS.tolist())
    ]
    found = Regression(model, ADAM, loss=loss).measure(SequenceBatch(x, LENGTHS, values), "train")
    torch.testing.assert_close(found, torch.cat(alone).mean(), **TOLERANCE[torch.float32])


@pytest.mark.parametrize(
    ("outputs", "targets", "hint"),
    [
        ((3, 2), torch.zeros(3, 4, dtype=torch.long), "one target for every step; choose pooling=every_step"),
        ((3, 4, 2), torch.zeros(3, dtype=torch.long), "one target for a whole sequence; choose another pooling"),
        ((3, 4, 2), torch.zeros(3, 2), "one target for a whole sequence"),
        ((3, 5, 2), torch.zeros(3, 4, 2), r"\(3, 4, 2\) do not match outputs \(3, 5, 2\)"),
    ],
)
def test_answers_that_do_not_fit_their_targets_are_refused(
    outputs: tuple[int, ...], targets: torch.Tensor, hint: str
) -> None:
    with pytest.raises(ValueError, match=hint):
        real_steps(torch.zeros(outputs), SequenceBatch(torch.zeros(3, 4, 1), LENGTHS, targets))


def test_the_record_of_a_row_names_its_class_and_every_probability() -> None:
    model = SequenceClassifier(CELL, input_size=2, output_size=3)
    batch = SequenceBatch(torch.randn(3, 4, 2), LENGTHS, torch.zeros(3).long())
    records = Classification(model, ADAM, output_size=3).records(batch, ("a", "b", "c"))
    probabilities = model(batch.inputs, LENGTHS).softmax(-1)
    for (record,), row in zip(records, probabilities, strict=True):
        assert record["class"] == "abc"[int(row.argmax())]
        assert list(record["probabilities"].values()) == pytest.approx(row.tolist())


def test_the_record_of_a_row_with_answers_at_every_step_ends_with_the_row() -> None:
    model = SequenceRegressor(CELL, input_size=2, output_size=1, pooling=every_step)
    records = Regression(model, ADAM).records(SequenceBatch(torch.randn(3, 4, 2), LENGTHS, torch.zeros(3, 4, 1)), ())
    assert [len(record["values"]) for (record,) in records] == [4, 1, 3]
