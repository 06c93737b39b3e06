"""Predictions of numbers, for whole sequences or for each of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.series.scaling import Scaling
from seqmodels.tasks.predictors.predictor import Predictor, Record
from seqmodels.tasks.steps import lists_of


class ValuesPrediction(NamedTuple):
    """The numbers that are predicted for a sequence, in the unit of the data."""

    values: Any
    """By target, if targets have names; else a list. If each step has values, a list of lists with those of each."""


@dataclass
class ValuePredictor(Predictor):
    """Numbers, in the unit of the data.

    Args:
        model: returns values ``(batch, output)``, or ``(batch, time, output)``.
        target_mean, target_deviation: of each output in the train split, if the data standardise their targets.
        target_names: of the outputs; a plain list if empty.

    Raises:
        ValueError: the target options do not have one value for each output.
    """

    model: nn.Module
    target_mean: Sequence[float] | None = None
    target_deviation: Sequence[float] | None = None
    target_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.target_names = tuple(self.target_names)
        mean, deviation = self.target_mean, self.target_deviation
        self.scaling: Scaling | None = None
        if mean is None and deviation is None:
            return
        if mean is None or deviation is None or len(mean) != len(deviation):
            raise ValueError(
                f"target_mean and target_deviation must have one value per output, got {mean} and {deviation}"
            )
        self.scaling = Scaling.of(mean, deviation)

    def values(self, batch: SequenceBatch) -> Tensor:
        """Return the values ``(batch, output)``, or ``(batch, time, output)`` if the model is stepwise.

        If the data standardise their targets, they are float64 on the CPU, in the unit of the data.
        """
        return self.in_units(self.model(batch.inputs, batch.lengths))

    def in_units(self, values: Tensor) -> Tensor:
        """Return outputs of the network in the unit of the data."""
        if self.scaling is None:
            return values
        mean, deviation = self.scaling
        return values.cpu().double() * deviation + mean

    def records(self, batch: SequenceBatch, class_names: Sequence[str]) -> list[list[Record]]:  # noqa: ARG002
        """Return the values of each row, or of each of its steps."""
        values = self.values(batch)
        rows = lists_of(values, batch.lengths if values.dim() == 3 else None)
        if not self.target_names:
            return [[{"values": row}] for row in rows]
        return [[{"values": dict(zip(self.target_names, row, strict=True))}] for row in rows]

    def of_step(self, output: Tensor) -> Tensor:
        return self.in_units(output)

    def prediction(self, records: Sequence[Record], fields: Mapping[str, Any]) -> ValuesPrediction:  # noqa: ARG002
        return ValuesPrediction(records[0]["values"])
