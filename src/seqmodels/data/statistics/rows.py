"""The rows of any split or batch as plain sequences, and a random sample of a split."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.loaders import Rows, Split
from seqmodels.data.loading import Loading
from seqmodels.data.series.windows import WindowDataset
from seqmodels.data.tagging.batch import Words
from seqmodels.data.text.vocabulary import Vocabulary

ROWS, VALUES = 2000, 1_000_000
"""Rows and numbers of a sample, at most: enough for shares that are exact to a percentage point."""
AT_ONCE = 50  # rows of a batch


def inputs_of(batch: Any) -> Tensor:
    """Return what a network reads of a batch: tokens ``(batch, time)``, or numbers ``(batch, time, features)``."""
    inputs: Tensor = batch.inputs.tokens if isinstance(batch.inputs, Words) else batch.inputs
    return inputs


def lengths_of(batch: Any) -> Tensor:
    """Return the number of real steps of each row of a batch, ``(batch,)``."""
    inputs, lengths = inputs_of(batch), getattr(batch, "lengths", None)
    return torch.full((len(inputs),), inputs.shape[1]) if lengths is None else lengths


def rows_of(batch: Any) -> list[Tensor]:
    """Return the rows of a batch without padding: tokens ``(time_i,)``, or numbers ``(time_i, features)``."""
    return [row[:length] for row, length in zip(inputs_of(batch), lengths_of(batch).tolist(), strict=True)]


def sampled(split: Split[Any], rows: int = ROWS, values: int = VALUES) -> list[Tensor]:
    """Return random rows of a split, always the same ones; of windows, such that do not overlap.

    None are returned if its batches have no ``inputs``.

    Args:
        split: of any data set.
        rows, values: numbers of rows, and of numbers or tokens in them, at most.
    """
    found, size = list[Tensor](), 0
    for batch in _batches(split):
        if not hasattr(batch, "inputs"):  # of a task of one's own
            return []
        for row in rows_of(batch):
            if found and (len(found) == rows or size + row.numel() > values):
                return found
            found.append(row)
            size += row.numel()
    return found


def _batches(split: Split[Any]) -> Iterator[Any]:
    if not isinstance(split, Rows):  # a text that is read in windows
        yield from islice(split.loader("val", Loading(batch_size=AT_ONCE)), ROWS)
        return
    every = split.input_length if isinstance(split, WindowDataset) else 1
    chosen = torch.arange(0, len(split), every)
    order = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))][:ROWS]
    for part in order.split(AT_ONCE):
        yield split.__getitems__(part.tolist())


def vocabulary_of(preprocessing: Any) -> Vocabulary | None:
    """Return the vocabulary of the inputs of a preprocessing, None if they are numbers."""
    for name in ("vocabulary", "source_vocabulary"):
        found = getattr(preprocessing, name, None)
        if isinstance(found, Vocabulary):
            return found
    return None
