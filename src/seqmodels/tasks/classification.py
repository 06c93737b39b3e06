"""Classification of sequences, or of each of their steps."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.tasks.metrics.labels import AreaUnderROC, ClassScores
from seqmodels.tasks.predictors.labels import ClassPredictor
from seqmodels.tasks.steps import Entries, real_steps
from seqmodels.tasks.task import OptimizerFactory, SchedulerFactory, Stage, Task

IGNORED = -100
"""The class that ``torch.nn.functional.cross_entropy`` ignores, in place of those of the padding."""


class Classification(Task[SequenceBatch]):
    """Train and evaluate a classifier with cross-entropy.

    Metrics are accuracy and the macro averages of precision, recall, F1 and the area under the ROC curve; testing also
    gives a :attr:`confusion_matrix`. Label smoothing and class weights apply to the training loss only: ``val/loss``
    and ``test/loss`` are the plain cross-entropy, so that runs can be compared.

    Args:
        model, optimizer, scheduler: as in :class:`Task`; the model returns logits ``(batch, classes)``, or
            ``(batch, time, classes)`` if the data have a class for every step; all real steps then count equally.
        output_size: number of classes.
        label_smoothing: fraction of the target spread over all classes (Szegedy et al., 2016, arXiv 1512.00567).
        class_weights: weight of a row of each class in training; ``balanced``: rows / (classes * rows of the class),
            from the targets of the train split.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> from torch import nn, optim
        >>> task = Classification(nn.Linear(4, 3), optim.Adam, output_size=3, class_weights=[1.0, 2.0, 1.0])
        >>> task.class_weights
        tensor([1., 2., 1.])
    """

    needs: ClassVar[TargetKind] = "classification"
    default_epochs: ClassVar[int] = 6

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        *,
        output_size: int,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__(model, optimizer, scheduler)
        if output_size < 2:
            raise ValueError(f"output_size must be at least 2 classes, got {output_size}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        self.output_size = output_size
        self.predictor = ClassPredictor(model, output_size)
        self.label_smoothing = label_smoothing
        self.balanced = class_weights == "balanced"
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", _checked_weights(class_weights, output_size))
        self.tested = ClassScores(output_size)
        self.metrics.update({"val": _metrics("val/", ClassScores(output_size)), "test": _metrics("test/", self.tested)})

    @property
    def confusion_matrix(self) -> Tensor:
        """Counts ``(classes, classes)`` of the last test: rows are the true classes, columns the predicted ones."""
        with self.tested.sync_context():
            return self.tested.counts.clone()

    def on_fit_start(self) -> None:
        """Compute balanced class weights from the train split.

        Raises:
            ValueError: the training data do not come from a data module of this package.
        """
        if not self.balanced:
            return
        data: Any = getattr(self.trainer, "datamodule", None)
        if not hasattr(data, "split"):
            raise ValueError(
                "class_weights=balanced needs a data module of seqmodels; otherwise give a number for each class"
            )
        counts = data.split("train").targets.bincount(minlength=self.output_size)
        assert self.class_weights is not None
        self.class_weights.copy_(counts.sum() / (self.output_size * counts.clamp(min=1)))

    def measure(self, batch: SequenceBatch, stage: Stage) -> Tensor:
        check_classes(batch.targets, self.output_size)
        entries = real_steps(self.model(batch.inputs, batch.lengths), batch)
        logits, targets, real = entries
        if real is not None:
            targets = targets.masked_fill(~real, IGNORED)
        loss = F.cross_entropy(logits, targets) if stage != "train" else self._training_loss(logits, targets, entries)
        means = {"loss": loss}
        if stage == "train":  # no metric object: this runs at every step
            means["accuracy"] = (logits.detach().argmax(-1) == targets).float().sum() / entries.number
        self.record(stage, means, entries)
        return loss

    def _training_loss(self, logits: Tensor, targets: Tensor, entries: Entries) -> Tensor:
        if self.class_weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        # Divided by rows, not by weights, so that the weight of a row does not depend on the rest of its batch.
        losses = F.cross_entropy(
            logits, targets, self.class_weights, label_smoothing=self.label_smoothing, reduction="none"
        )
        return losses.sum() / entries.number

    def predict_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:  # noqa: ARG002
        """Return class probabilities ``(batch, classes)``, or ``(batch, time, classes)`` if the model is stepwise."""
        return self.predictor.probabilities(batch)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the most probable class of each row, or of each of its steps, and the probability of every class."""
        return self.predictor.records(batch, class_names)


def _metrics(prefix: str, classes: ClassScores) -> MetricCollection:
    return MetricCollection(
        {"classes": classes, "auroc": AreaUnderROC(exclusive=True)}, prefix=prefix, compute_groups=False
    )


def _checked_weights(weights: Sequence[float] | str | None, classes: int) -> Tensor | None:
    """Return the weights as a tensor, or ones if they are computed from the data later."""
    if weights is None:
        return None
    if weights == "balanced":
        return torch.ones(classes)
    if isinstance(weights, str) or len(weights) != classes or not all(0 <= weight < float("inf") for weight in weights):
        raise ValueError(f"class_weights must be 'balanced' or {classes} numbers of at least 0, got {weights!r}")
    return torch.tensor([float(weight) for weight in weights])


def check_classes(targets: Tensor, classes: int) -> None:
    """Check that all targets are valid classes, unless they are on an accelerator, where this would stall every step.

    Data modules check their splits at setup.

    Raises:
        ValueError: a target is not a class; the message names row and value.
    """
    if targets.device.type != "cpu":
        return
    low, high = targets.aminmax()
    if low < 0 or high >= classes:
        index = ((targets < 0) | (targets >= classes)).nonzero()[0]
        value = targets[tuple(index)].item()
        raise ValueError(f"row {int(index[0])} of the batch: a class must be 0 to {classes - 1}, got {value}")
