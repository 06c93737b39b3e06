"""Base class of the preprocessing of labelled series: the same scaling of values and targets for every file."""

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from torch import Tensor

from seqmodels.data.formats.records import Record
from seqmodels.data.labelled.targets import TargetFields
from seqmodels.data.preprocessing import Example, Preprocessing
from seqmodels.data.raw import LabelledSeries
from seqmodels.data.sequences import RaggedDataset, SequenceDataset, Sequences
from seqmodels.system.names import public_name

PLAIN = (str, int, float, bool, type(None))


class LabelledPreprocessing(Preprocessing):
    """Series with targets, from the data set of the training or from records of a new file."""

    targets: TargetFields
    """The fields of a record that hold its targets, and their scaling."""

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds it, as plain JSON: its fields."""
        assert is_dataclass(self)
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"_target_": public_name(type(self)), **values}

    @abstractmethod
    def scaled(self, series: Tensor) -> Tensor:
        """Return series ``(..., channels)`` scaled, as float32."""

    def dataset(self, part: LabelledSeries) -> Sequences:
        """Return a split of the data set with scaled series, and scaled targets if they have a unit.

        Raises:
            ValueError: a value is too large to be a float32 number once scaled.
        """
        labels = part.labels
        if part.target_names and isinstance(labels, Tensor):
            labels = self.targets.scaling.apply(labels).float()
        if isinstance(part.series, Tensor):
            assert isinstance(labels, Tensor)
            return SequenceDataset(_finite(self.scaled(part.series)), labels, part.lengths)
        return RaggedDataset([_finite(self.scaled(series), row) for row, series in enumerate(part.series, 1)], labels)

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict, in order; only plain values of a record are carried over, not its series."""
        for example in super().examples(records):
            yield example._replace(
                fields={name: value for name, value in example.fields.items() if isinstance(value, PLAIN)}
            )

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> Sequences:
        held = list(records)
        return RaggedDataset(self.sequences(held), self.targets.read(held, class_names))

    def sequences(self, records: Iterable[Record]) -> list[Tensor]:
        """Return the sequences of all records.

        Raises:
            ValueError: a record cannot be read; the message has its location.
        """
        sequences = []
        for example in self.examples(records):
            if example.value is None:
                raise ValueError(example.error)
            sequences.append(example.value)
        return sequences


def _finite(scaled: Tensor, row: int | None = None) -> Tensor:
    if bool(scaled.isinf().any()):
        row = row or int(scaled.isinf().flatten(1).any(1).nonzero()[0]) + 1
        raise ValueError(f"row {row} of a split: a value is too large: scaled as in training, it is no finite number")
    return scaled
