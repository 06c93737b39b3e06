"""Multi-label classification of sequences, or of each of their steps."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.metrics.labels import AreaUnderROC, LabelScores
from seqmodels.tasks.predictors.labels import LabelPredictor
from seqmodels.tasks.steps import real_steps
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task


class MultilabelClassification(Task[SequenceBatch]):
    """Train and evaluate a multi-label classifier with binary cross-entropy.

    The loss is the negative log-likelihood in nats, summed over labels and averaged over rows, or over all real steps.
    Metrics are accuracy, precision, recall, macro and micro F1, and the area under the ROC curve.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model returns logits ``(batch, labels)``, or
            ``(batch, time, labels)`` if the data have labels for every step.
        output_size: number of labels.
        threshold: smallest probability at which a label is predicted.

    Raises:
        ValueError: ``threshold`` is not in (0, 1).

    Example:
        >>> from torch import nn, optim
        >>> MultilabelClassification(nn.Linear(4, 3), optim.Adam, output_size=3, threshold=0.4).threshold
        0.4
    """

    needs: ClassVar[TargetKind] = "multilabel"
    default_epochs: ClassVar[int] = 6

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
        self.predictor = LabelPredictor(model, output_size, threshold)
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
        entries = real_steps(self.model(batch.inputs, batch.lengths), batch)
        logits, targets, real = entries
        if logits.shape != targets.shape:
            raise ValueError(
                f"targets must have the shape of the logits {tuple(logits.shape)}, got {tuple(targets.shape)}"
            )
        weight = None if real is None else real[:, None].to(logits.dtype)
        loss = F.binary_cross_entropy_with_logits(logits, targets, weight, reduction="sum") / entries.number
        self.record(stage, {"loss": loss}, entries)
        return loss

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return label probabilities ``(batch, labels)``, or ``(batch, time, labels)`` if the model is stepwise."""
        return self.predictor.probabilities(batch)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the labels of each row, or of each of its steps, and the probability of every label."""
        return self.predictor.records(batch, class_names)
