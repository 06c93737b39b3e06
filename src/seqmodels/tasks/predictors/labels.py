"""Predictions of classifiers, of whole sequences or of each of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from seqmodels.data.batch import SequenceBatch
from seqmodels.tasks.predictors.predictor import Predictor, Record
from seqmodels.tasks.steps import lists_of


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
        names, probabilities = names_of(class_names, self.output_size), self.probabilities(batch)
        lengths = batch.lengths if probabilities.dim() == 3 else None
        rows = zip(lists_of(probabilities.argmax(-1), lengths), lists_of(probabilities, lengths), strict=True)
        return [[{"class": named(names, index), "probabilities": by_name(row, names)}] for index, row in rows]

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
        names, probabilities = names_of(class_names, self.output_size), self.probabilities(batch)
        lengths = batch.lengths if probabilities.dim() == 3 else None
        rows = zip(lists_of(probabilities >= self.threshold, lengths), lists_of(probabilities, lengths), strict=True)
        return [[{"labels": chosen(names, flags), "probabilities": by_name(row, names)}] for flags, row in rows]

    def of_step(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> LabelsPrediction:  # noqa: ARG002
        return LabelsPrediction(records[0]["labels"], records[0]["probabilities"])


def names_of(class_names: Sequence[str], size: int) -> list[str]:
    """Return the names of classes, their numbers if they have none."""
    return list(class_names) or [str(index) for index in range(size)]


def named(names: Sequence[str], index: Any) -> Any:
    """Return the name of a class, or a list with one for each step.

    Example:
        >>> named(["no", "yes"], 1), named(["no", "yes"], [1, 0])
        ('yes', ['yes', 'no'])
    """
    return [names[step] for step in index] if isinstance(index, list) else names[index]


def chosen(names: Sequence[str], flags: Sequence[Any]) -> list[Any]:
    """Return the names whose flag is true, or a list of such names for each step.

    Example:
        >>> chosen(["a", "b"], [True, False]), chosen(["a", "b"], [[True, True], [False, False]])
        (['a'], [['a', 'b'], []])
    """
    if isinstance(flags[0], list):
        return [chosen(names, step) for step in flags]
    return [name for name, flag in zip(names, flags, strict=True) if flag]


def by_name(probabilities: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the probability of each class, or a list with one for each step.

    Example:
        >>> by_name([0.25, 0.75], ["no", "yes"]), by_name([[0.25, 0.75], [0.5, 0.5]], ["no", "yes"])
        ({'no': 0.25, 'yes': 0.75}, {'no': [0.25, 0.5], 'yes': [0.75, 0.5]})
    """
    if isinstance(probabilities[0], list):
        return {name: list(steps) for name, steps in zip(names, zip(*probabilities, strict=True), strict=True)}
    return dict(zip(names, probabilities, strict=True))
