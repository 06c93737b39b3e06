"""Any number of labels for each sequence, or for each of its steps."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.label_metrics import AreaUnderROC, LabelScores
from seqmodels.tasks.steps import real_steps, rows_of
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class MultilabelClassification(Task[SequenceBatch]):
    """Negative log-likelihood in nats, summed over the labels of a row: a mean over rows, or over all real steps.

    Accuracy, precision, recall, F1 (a mean over labels, and of all together) and the area under the ROC curve.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model gives logits ``(batch, labels)``, or
            ``(batch, time, labels)`` where the data have labels for every step.
        output_size: number of labels.
        threshold: probability from which on a label is predicted.
    """

    needs: ClassVar[TargetKind] = "multilabel"

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        output_size: int,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must be a probability in (0, 1), got {threshold}")
        self.output_size = output_size
        self.threshold = threshold
        self.metrics.update({"val": self._metrics("val/"), "test": self._metrics("test/")})

    def _metrics(self, prefix: str) -> MetricCollection:
        return MetricCollection(
            {
                "labels": LabelScores(self.output_size, threshold=self.threshold),
                "auroc": AreaUnderROC(exclusive=False),
            },
            prefix=prefix,
            compute_groups=False,
        )

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        logits, targets = real_steps(self.model(batch.inputs, batch.lengths), batch)
        if logits.shape != targets.shape:
            raise ValueError(
                f"targets must have the shape of the logits {tuple(logits.shape)}, got {tuple(targets.shape)}"
            )
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(targets)
        self.record(stage, {"loss": loss}, logits, targets)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return the probability of each label, ``(batch, labels)``; at every step where the model answers there."""
        return self.model(batch.inputs, batch.lengths).sigmoid()

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """Name the labels of each row, or of each of its steps, with the probability of every label."""
        names = list(class_names) or [str(index) for index in range(self.output_size)]
        return [self._record(row, names) for row in rows_of(self.predict_step(batch), batch.lengths)]

    def _record(self, probabilities: Tensor, names: list[str]) -> dict[str, Any]:
        def named(row: list[bool]) -> list[str]:
            return [name for name, there in zip(names, row, strict=True) if there]

        there = (probabilities >= self.threshold).tolist()
        return {
            "labels": named(there) if probabilities.dim() == 1 else [named(step) for step in there],
            "probabilities": {name: probabilities[..., index].tolist() for index, name in enumerate(names)},
        }
