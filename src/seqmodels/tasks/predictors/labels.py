"""Predictions of classifiers, of whole sequences or of each of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from seqmodels.data.batch import SequenceBatch
from seqmodels.tasks.predictors.predictor import Predictor, Record
from seqmodels.tasks.steps import rows_of


class ClassPrediction(NamedTuple):
    """The most probable class of a sequence, or a list with one for each of its steps."""

    label: Any
    """Name of the class, or a list of names."""
    probabilities: dict[str, Any]
    """By class: a number, or a list with one for each step."""


class LabelsPrediction(NamedTuple):
    """The labels of a sequence, or a list of labels for each of its steps."""

    labels: list[Any]
    """Names of the labels that are at least as probable as the threshold, or such a list for each step."""
    probabilities: dict[str, Any]
    """By label: a number, or a list with one for each step."""


@dataclass
class ClassPredictor(Predictor):
    """The most probable of several classes, and the probability of each.

    Args:
        model: returns logits ``(batch, classes)``, or ``(batch, time, classes)``.
        output_size: number of classes.
    """

    model: nn.Module
    output_size: int

    def probabilities(self, batch: SequenceBatch) -> Tensor:
        """Return class probabilities ``(batch, classes)``, or ``(batch, time, classes)`` if the model is stepwise."""
        logits: Tensor = self.model(batch.inputs, batch.lengths)
        return logits.softmax(-1)

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[Record]]:
        """Return the most probable class of each row, or of each of its steps, and the probability of every class."""
        names = names_of(class_names, self.output_size)
        return [[class_record(row, names)] for row in rows_of(self.probabilities(batch), batch.lengths)]

    def of_step(self, output: Tensor) -> Tensor:
        return output.softmax(-1)

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> ClassPrediction:  # noqa: ARG002
        return ClassPrediction(records[0]["class"], records[0]["probabilities"])


@dataclass
class LabelPredictor(Predictor):
    """Any number of labels, and the probability of each.

    Args:
        model: returns logits ``(batch, labels)``, or ``(batch, time, labels)``.
        output_size: number of labels.
        threshold: smallest probability at which a label is predicted.
    """

    model: nn.Module
    output_size: int
    threshold: float = 0.5

    def probabilities(self, batch: SequenceBatch) -> Tensor:
        """Return label probabilities ``(batch, labels)``, or ``(batch, time, labels)`` if the model is stepwise."""
        logits: Tensor = self.model(batch.inputs, batch.lengths)
        return logits.sigmoid()

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[Record]]:
        """Return the labels of each row, or of each of its steps, and the probability of every label."""
        names = names_of(class_names, self.output_size)
        return [[self.record(row, names)] for row in rows_of(self.probabilities(batch), batch.lengths)]

    def record(self, probabilities: Tensor, names: list[str]) -> Record:
        """Return the record of probabilities ``(labels,)``, or ``(time, labels)``."""

        def named(row: list[bool]) -> list[str]:
            return [name for name, present in zip(names, row, strict=True) if present]

        present = (probabilities >= self.threshold).tolist()
        return {
            "labels": named(present) if probabilities.dim() == 1 else [named(step) for step in present],
            "probabilities": by_name(probabilities, names),
        }

    def of_step(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> LabelsPrediction:  # noqa: ARG002
        return LabelsPrediction(records[0]["labels"], records[0]["probabilities"])


def names_of(class_names: Sequence[str], size: int) -> list[str]:
    """Return the names of classes, their numbers if they have none."""
    return list(class_names) or [str(index) for index in range(size)]


def class_record(probabilities: Tensor, names: list[str]) -> Record:
    """Return the record of probabilities ``(classes,)``, or ``(time, classes)``."""
    best = probabilities.argmax(-1).tolist()
    return {
        "class": names[best] if isinstance(best, int) else [names[index] for index in best],
        "probabilities": by_name(probabilities, names),
    }


def by_name(probabilities: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Return the probabilities of each class, over the steps if there are any."""
    return {name: probabilities[..., index].tolist() for index, name in enumerate(names)}
