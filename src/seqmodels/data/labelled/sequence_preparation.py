"""Sequences of a table as tensors: which channels are numbers or words, and their scaling, from the train split."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.formats.archives.cases import Missing
from seqmodels.data.formats.columns import is_missing
from seqmodels.data.labelled.sequence_preprocessing import SequencePreprocessing, number_of
from seqmodels.data.labelled.sequence_table import SequenceRecords, cells_of
from seqmodels.data.labelled.targets import class_names_of, number_targets
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.raw import Splits
from seqmodels.data.series.scaling import Scaling, fit_scaling
from seqmodels.errors import extent, shortened

log = logging.getLogger("seqmodels")
SHOWN = 10  # words in a log line
FREE = 100  # words, above which a channel whose words rarely repeat is taken for a mistake


@dataclass(kw_only=True)
class SequencePreparation(Preparation):
    """Sequences of a table: channels of numbers are standardised, those of words become 0/1 inputs.

    A channel contains numbers or words throughout. Target numbers are standardised. What was found is logged.

    Args:
        standardize: whether to standardise channels of numbers by their mean and deviation in the train split.
        categorical: channels that contain words although they look like numbers, such as codes.
        missing: how to handle missing values, see :func:`~seqmodels.data.formats.archives.cases.parse_cases`.
    """

    standardize: bool = True
    categorical: Sequence[str] = ()
    missing: Missing = "error"

    def prepare(self, splits: Splits[SequenceRecords]) -> Prepared:
        train = splits.train
        if not train.records:
            raise ValueError("the train split is empty")
        fitted = self.fit(train)
        names = class_names_of(train.labels) if train.classes else ()
        datasets = splits.map(lambda part: fitted.labelled(part.records, names))
        held = {name: split for name, split in datasets._asdict().items() if split is not None}
        for name, split in held.items():
            log.info("%s: %d sequences of %s steps", name, len(split), extent(split.lengths.tolist()))
        sizes: dict[str, Any] = {"input_size": int(datasets.train.values.shape[-1])}
        sizes["output_size"] = len(names) or len(fitted.target)
        if not train.classes:
            sizes |= fitted.targets.sizes
        lengths = torch.cat([split.lengths for split in held.values()]).unique()
        if len(lengths) == 1:
            sizes["time"] = int(lengths)
        return Prepared(datasets, sizes, fitted.node, names)

    def fit(self, train: SequenceRecords) -> SequencePreprocessing:
        """Return the preprocessing, fitted on the train split."""
        layout = train.layout
        for name in self.categorical:
            if name not in layout.names:
                raise ValueError(f"categorical: there is no channel {name!r} (there are: {', '.join(layout.names)})")
        words = [self._words(train, channel) for channel in range(len(layout.names))]
        unscaled = SequencePreprocessing(
            names=layout.names,
            columns=layout.columns,
            words=words,
            mean=[0.0] * len(words),
            deviation=[1.0] * len(words),
            target=layout.target,
            id=layout.id,
            time=layout.time,
            missing=self.missing,
            dialect=train.dialect._asdict(),
        )
        scaling = self._scaling(unscaled, train)
        fitted = replace(unscaled, mean=scaling.mean.tolist(), deviation=scaling.deviation.tolist())
        if train.classes:
            return fitted
        cells = [[record.fields.get(name) for name in layout.target] for record in train.records]
        targets = fit_scaling(number_targets(cells, [record.place for record in train.records], layout.target))
        return replace(fitted, target_mean=targets.mean.tolist(), target_deviation=targets.deviation.tolist())

    def _scaling(self, unscaled: SequencePreprocessing, train: SequenceRecords) -> Scaling:
        """Return the scaling of the channels; the identity for words."""
        values = torch.cat([_values(unscaled, record) for record in train.records])
        scaling = fit_scaling(values, standardize=self.standardize)
        is_words = torch.tensor([bool(words) for words in unscaled.words])
        zeros, ones = torch.zeros_like(scaling.mean), torch.ones_like(scaling.deviation)
        return Scaling(torch.where(is_words, zeros, scaling.mean), torch.where(is_words, ones, scaling.deviation))

    def _words(self, train: SequenceRecords, channel: int) -> tuple[str, ...]:
        """Return the words of a channel, sorted; none if it contains numbers.

        Raises:
            ValueError: it contains both, has no values, or its words rarely repeat.
        """
        name, columns = train.layout.names[channel], train.layout.columns[channel]
        cells = [
            (record.place, str(cell).strip())
            for record in train.records
            for cell in cells_of(record.fields, columns, name)
            if cell is not None and not is_missing(str(cell))
        ]
        if not cells:
            raise ValueError(f"{train.records[0].place}: the column {shortened(columns, SHOWN)} has no values")
        strange = [cell for cell in cells if math.isnan(number_of(cell[1], train.dialect.decimal))]
        if not strange and name not in self.categorical:
            return ()
        if len(strange) < len(cells) and name not in self.categorical:
            place, text = strange[0]
            raise ValueError(
                f"{place}: {name} must be a number as in other rows, got {text!r}; data.categorical=[{name}] takes all "
                f"values for words, data.exclude=[{columns[0]}] leaves the column out"
            )
        words = tuple(sorted({text for _, text in cells}))
        if len(words) > max(FREE, len(cells) / 2):
            raise ValueError(
                f"{cells[0][0]}: {name} has {len(words)} different words in {len(cells)} steps, too many to learn "
                f"from: data.time={name} if it orders the steps, or data.exclude=[{name}]"
            )
        log.info("%s: %d words, each an input: %s", name, len(words), shortened(words, SHOWN))
        return words


def _values(unscaled: SequencePreprocessing, record: Any) -> Tensor:
    try:
        return unscaled.values(record.fields)
    except ValueError as error:
        raise ValueError(f"{record.place}: {error}") from error
