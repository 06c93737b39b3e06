"""Class weights, label smoothing, multiple labels, and their metrics."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multiclass_auroc,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
    multilabel_auroc,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)

from seqmodels.data import DataModule, SequenceBatch, SequenceDataset
from seqmodels.data.batch import TargetKind
from seqmodels.tasks import Classification, MultilabelClassification
from seqmodels.tasks.metrics.labels import AreaUnderROC, ClassScores, LabelScores, area_under_roc
from tests.conftest import TOLERANCE
from tests.datasets import given
from tests.tasks.small import trainer

FLOAT32 = TOLERANCE[torch.float32]
SGD = partial(torch.optim.SGD, lr=0.1)
ROWS, CLASSES = 37, 5


class Linear(nn.Module):
    """Scores for the first step, or for every step."""

    def __init__(self, *, stepwise: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(3, CLASSES)
        self.stepwise = stepwise

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        scores: Tensor = self.layer(inputs)
        return scores if self.stepwise else scores[:, 0]


def data_with(targets: Tensor, kind: TargetKind, batch_size: int = 7) -> DataModule:
    rows = SequenceDataset(torch.linspace(-1, 1, len(targets) * 6).view(-1, 2, 3), targets)
    sizes = {"input_size": 3, "output_size": CLASSES}
    return given({"train": rows, "val": rows, "test": rows}, kind, sizes, batch_size=batch_size)


def classes() -> Tensor:
    return torch.randint(CLASSES, (ROWS,)).clamp(max=3)  # the last class never occurs


def labels() -> Tensor:
    return (torch.rand(ROWS, CLASSES) < 0.4).float()


def a_batch(targets: Tensor) -> SequenceBatch:
    return SequenceBatch(torch.randn(len(targets), 2, 3), torch.full((len(targets),), 2), targets)


def test_scores_of_classes_are_those_of_torchmetrics_in_any_batches() -> None:
    logits, targets = torch.randn(ROWS, CLASSES).round(decimals=1), classes()
    metric, area = ClassScores(CLASSES), AreaUnderROC(exclusive=True)
    for rows in torch.arange(ROWS).split(8):
        metric.update(logits[rows], targets[rows])
        area.update(logits[rows], targets[rows])
    found = metric.compute()
    for name, function in (
        ("precision", multiclass_precision),
        ("recall", multiclass_recall),
        ("f1", multiclass_f1_score),
    ):
        torch.testing.assert_close(found[name], function(logits, targets, CLASSES), **FLOAT32)
    torch.testing.assert_close(found["accuracy"], (logits.argmax(1) == targets).float().mean(), **FLOAT32)
    each = multiclass_auroc(logits[:, :4].softmax(1), targets, 4, average=None)
    alone = AreaUnderROC(exclusive=True)
    alone.update(logits[:, :4], targets)
    torch.testing.assert_close(alone.compute(), each.mean(), **FLOAT32)
    assert torch.isfinite(area.compute()), "a class without rows counted"


def test_scores_of_labels_are_those_of_torchmetrics_in_any_batches() -> None:
    logits, targets = torch.randn(ROWS, CLASSES).round(decimals=1), labels().long()
    metric, area = LabelScores(CLASSES, threshold=0.6), AreaUnderROC(exclusive=False)
    for rows in torch.arange(ROWS).split(8):
        metric.update(logits[rows], targets[rows].float())
        area.update(logits[rows], targets[rows].float())
    found, p = metric.compute(), logits.sigmoid()
    for name, function, average in (
        ("precision", multilabel_precision, "macro"),
        ("recall", multilabel_recall, "macro"),
        ("f1", multilabel_f1_score, "macro"),
        ("f1_micro", multilabel_f1_score, "micro"),
    ):
        expected = function(p, targets, CLASSES, threshold=0.6, average=average)  # type: ignore[arg-type]
        torch.testing.assert_close(found[name], expected, **FLOAT32)
    right = (p >= 0.6) == targets.bool()
    torch.testing.assert_close(found["accuracy"], right.float().mean(), **FLOAT32)
    torch.testing.assert_close(found["exact_match"], right.all(1).float().mean(), **FLOAT32)
    torch.testing.assert_close(area.compute(), multilabel_auroc(p, targets, CLASSES), **FLOAT32)


def test_the_area_is_how_often_a_pair_is_in_order_and_ties_are_half() -> None:
    scores, positive = torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor([False, True, False, True])
    assert float(area_under_roc(scores, positive)) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert area_under_roc(scores, torch.ones(4, dtype=torch.bool)).isnan()


def test_smoothing_and_weights_shape_the_loss_of_training_alone() -> None:
    batch, weights = a_batch(classes()), [1.0, 2.0, 0.5, 3.0, 1.0]
    model = Linear()
    task = Classification(model, SGD, output_size=CLASSES, label_smoothing=0.1, class_weights=weights)
    logits = model(batch.inputs)
    plain = F.cross_entropy(logits, batch.targets)
    each = F.cross_entropy(logits, batch.targets, torch.tensor(weights), label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(task.measure(batch, "train"), each.mean(), **FLOAT32)
    torch.testing.assert_close(task.measure(batch, "val"), plain, **FLOAT32)
    singles = [task.measure(SequenceBatch(*(part[row : row + 1] for part in batch)), "train") for row in range(ROWS)]
    torch.testing.assert_close(torch.stack(singles).mean(), each.mean(), **FLOAT32)


def test_balanced_weights_make_the_classes_of_the_train_split_count_alike_and_are_kept() -> None:
    targets = torch.tensor([0] * 20 + [1] * 5 + [2] * 4 + [3] * 8)
    data = data_with(targets, "classification")
    task = Classification(Linear(), SGD, output_size=CLASSES, class_weights="balanced")
    trainer(max_epochs=1, num_sanity_val_steps=0).fit(task, data)
    assert task.class_weights is not None
    counted = task.class_weights[:4] * targets.bincount()
    torch.testing.assert_close(counted, torch.full((4,), ROWS / CLASSES), **FLOAT32)
    again = Classification(Linear(), SGD, output_size=CLASSES, class_weights="balanced")
    again.load_state_dict(task.state_dict())
    assert again.class_weights is not None
    assert torch.equal(again.class_weights, task.class_weights)


def test_balanced_weights_need_a_data_module() -> None:
    task = Classification(Linear(), SGD, output_size=CLASSES, class_weights="balanced")
    with pytest.raises(ValueError, match="class_weights=balanced needs a data module"):
        trainer(max_epochs=1).fit(task, [a_batch(classes())], [a_batch(classes())])


def test_the_loss_of_labels_is_a_sum_over_them_and_a_mean_over_rows_or_real_steps() -> None:
    model, targets = Linear(stepwise=True), (torch.rand(3, 4, CLASSES) < 0.4).float()
    lengths = torch.tensor([4, 1, 3])
    batch = SequenceBatch(torch.randn(3, 4, 3), lengths, targets)
    task = MultilabelClassification(model, SGD, output_size=CLASSES)
    p, rows = model(batch.inputs).sigmoid(), []
    for row, length in enumerate(lengths.tolist()):
        for step in range(length):
            right = torch.where(targets[row, step].bool(), p[row, step], 1 - p[row, step])
            rows.append(-right.log().sum())
    torch.testing.assert_close(task.measure(batch, "train"), torch.stack(rows).mean(), **FLOAT32)


def test_a_test_of_labels_logs_every_score_whatever_the_batches() -> None:
    targets, task = labels(), MultilabelClassification(Linear(), SGD, output_size=CLASSES)
    found = []
    for batch_size in (1, 8):
        (metrics,) = trainer().test(task, data_with(targets, "multilabel", batch_size), verbose=False)
        found.append(metrics)
    names = {"loss", "accuracy", "exact_match", "precision", "recall", "f1", "f1_micro", "auroc"}
    assert set(found[0]) == {f"test/{name}" for name in names}
    for name, value in found[0].items():
        assert value == pytest.approx(found[1][name], rel=1e-5)


def test_records_name_the_labels_from_the_threshold_on() -> None:
    task = MultilabelClassification(Linear(), SGD, output_size=CLASSES, threshold=0.4).eval()
    batch = a_batch(labels()[:2])
    names = ["a", "b", "c", "d", "e"]
    for (record,), p in zip(task.records(batch, names), task.predict_step(batch), strict=True):
        assert record["labels"] == [name for name, value in zip(names, p.tolist(), strict=True) if value >= 0.4]
        assert list(record["probabilities"].values()) == pytest.approx(p.tolist())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Classification(Linear(), SGD, output_size=5, label_smoothing=1.0),
            r"label_smoothing must lie in \[0, 1\)",
        ),
        (lambda: Classification(Linear(), SGD, output_size=5, class_weights=[1.0]), "'balanced' or 5 numbers"),
        (lambda: Classification(Linear(), SGD, output_size=2, class_weights=[1.0, -1.0]), "numbers of at least 0"),
        (lambda: Classification(Linear(), SGD, output_size=2, class_weights="even"), "got 'even'"),  # type: ignore[arg-type]
        (lambda: MultilabelClassification(Linear(), SGD, output_size=5, threshold=1.0), r"threshold must be .* got 1"),
    ],
)
def test_options_that_cannot_be_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
