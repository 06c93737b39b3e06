"""Rows of a split for a baseline: a bounded number of them, read in batches."""

import logging
import math
from collections.abc import Iterator, Sequence

import torch

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.sequences import Sequences

AT_ONCE = 500  # rows
VALUES = 4_000_000  # at once, with padding
AT_MOST = 20_000  # train rows of a baseline

log = logging.getLogger(__name__)


def sampled(split: Sequences, limit: int, name: str) -> Sequence[int]:
    """Return the rows of a train split that a baseline reads: all, or a random choice that is always the same."""
    rows, limit = len(split), max(min(limit, AT_MOST), 1)
    if rows <= limit:
        return range(rows)
    log.info("baseline %s: fitted on %d of the %d train rows, to save time", name, limit, rows)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
    chosen: list[int] = order[:limit].sort().values.tolist()
    return chosen


def batches(split: Sequences, rows: Sequence[int]) -> Iterator[SequenceBatch]:
    """Yield rows of a split in padded batches, in order."""
    longest = int(split.lengths.max()) * math.prod(split.__getitems__([0]).inputs.shape[2:])
    at_once = max(min(AT_ONCE, VALUES // longest), 1)
    for first in range(0, len(rows), at_once):
        yield split.__getitems__(list(rows[first : first + at_once]))
