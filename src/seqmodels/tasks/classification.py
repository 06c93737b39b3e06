"""One class for each sequence."""

from typing import ClassVar

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
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class Classification(Task):
    """Cross-entropy; accuracy, and precision, recall and F1 as means over the classes; a confusion matrix of the test.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model gives logits ``(batch, classes)``.
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
        logits = self.model(batch.inputs, batch.lengths)
        loss = F.cross_entropy(logits, batch.targets)
        means = {"loss": loss}
        if stage == "train":  # no metric object: this runs at every step
            means["accuracy"] = (logits.detach().argmax(-1) == batch.targets).float().mean()
        if stage == "test":
            self.confusion.update(logits, batch.targets)
        self.record(stage, means, logits, batch.targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the probability of each class, ``(batch, classes)``."""
        return self.model(batch.inputs, batch.lengths).softmax(-1)


def check_classes(targets: Tensor, classes: int) -> None:
    """Raise ``ValueError``, naming row and value, where a target on the CPU is no class.

    On an accelerator the look would make every step wait for the device; data modules check their splits at setup.
    """
    if targets.device.type != "cpu":
        return
    low, high = targets.aminmax()
    if low < 0 or high >= classes:
        row = int(((targets < 0) | (targets >= classes)).nonzero()[0])
        raise ValueError(f"row {row} of the batch: a class must be 0 to {classes - 1}, got {targets[row].item()}")
