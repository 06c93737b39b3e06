"""One class for each sequence."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.steps import real_steps, rows_of
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class Classification(Task[SequenceBatch]):
    """Cross-entropy; accuracy, and precision, recall and F1 as means over the classes; a confusion matrix of the test.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model gives logits ``(batch, classes)``, or
            ``(batch, time, classes)`` where the data have a class for every step: each real step then counts alike.
        output_size: number of classes.
    """

    needs: ClassVar[TargetKind] = "classification"

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        output_size: int,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if output_size < 2:
            raise ValueError(f"output_size must be at least 2 classes, got {output_size}")
        self.output_size = output_size
        self.metrics.update({"val": self._metrics("val/"), "test": self._metrics("test/")})
        self.confusion = MulticlassConfusionMatrix(output_size, validate_args=False)

    def _metrics(self, prefix: str) -> MetricCollection:
        classes = self.output_size  # targets are checked before, not once more in each metric
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
                "precision": MulticlassPrecision(classes, average="macro", validate_args=False),
                "recall": MulticlassRecall(classes, average="macro", validate_args=False),
                "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
            },
            prefix=prefix,
        )

    @property
    def confusion_matrix(self) -> Tensor:
        """Counts ``(classes, classes)`` of the last test: rows are the true classes, columns the predicted ones."""
        return self.confusion.compute()

    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self.confusion.reset()

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        check_classes(batch.targets, self.output_size)
        logits, targets = real_steps(self.model(batch.inputs, batch.lengths), batch.targets, batch.lengths)
        loss = F.cross_entropy(logits, targets)
        means = {"loss": loss}
        if stage == "train":  # no metric object: this runs at every step
            means["accuracy"] = (logits.detach().argmax(-1) == targets).float().mean()
        if stage == "test":
            self.confusion.update(logits, targets)
        self.record(stage, means, logits, targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the probability of each class, ``(batch, classes)``; at every step where the model answers there."""
        return self.model(batch.inputs, batch.lengths).softmax(-1)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """Name the likeliest class of each row, or of each of its steps, with the probability of every class."""
        names = list(class_names) or [str(index) for index in range(self.output_size)]
        return [_record(row, names) for row in rows_of(self.predict_step(batch), batch.lengths)]


def _record(probabilities: Tensor, names: list[str]) -> dict[str, Any]:
    best = probabilities.argmax(-1).tolist()
    return {
        "class": names[best] if isinstance(best, int) else [names[index] for index in best],
        "probabilities": {name: probabilities[..., index].tolist() for index, name in enumerate(names)},
    }


def check_classes(targets: Tensor, classes: int) -> None:
    """Raise ``ValueError``, naming row and value, where a target on the CPU is no class.

    On an accelerator the look would make every step wait for the device; data modules check their splits at setup.
    """
    if targets.device.type != "cpu":
        return
    low, high = targets.aminmax()
    if low < 0 or high >= classes:
        index = ((targets < 0) | (targets >= classes)).nonzero()[0]
        value = targets[tuple(index)].item()
        raise ValueError(f"row {int(index[0])} of the batch: a class must be 0 to {classes - 1}, got {value}")
