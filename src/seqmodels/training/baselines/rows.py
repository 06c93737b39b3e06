"""Rows of a split for a baseline: a bounded number of them, read in batches."""

import logging
from collections.abc import Iterator, Sequence

import torch

from seqmodels.data.batch import SequenceBatch
from seqmodels.data.sequences import Sequences

AT_ONCE = 500  # rows
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
    for first in range(0, len(rows), AT_ONCE):
        yield split.__getitems__(list(rows[first : first + AT_ONCE]))
