"""The class of the most similar train series, by dynamic time warping where that is affordable."""

import logging

import torch
from torch import Tensor

from seqmodels.data.sequences import Sequences
from seqmodels.training.baselines.resampling import resampled
from seqmodels.training.baselines.rows import AT_ONCE, batches, sampled

WARPED, STEPS = 256, 1024  # steps of the longest series that is compared with warping, and without
WINDOWS = (0, 0.03, 0.1)  # shares of the length by which two steps that are compared may lie apart
NARROWEST = 3  # steps that each one is compared with if they may lie one step apart
CELLS = 2e9  # differences of two values that the distances with one window may take
PRODUCTS = 6e10  # products of two values that distances without a window may take
VALUES = 5e7  # of the train rows in memory
PAIRS = 4096  # of series that are compared at a time, to fit in a cache

log = logging.getLogger(__name__)


def nearest_neighbour(train: Sequences, test: Sequences, outputs: int) -> Tensor:
    """Return logits ``(test rows, outputs)``, infinite for the targets of the nearest train row: 1-NN.

    Series are resampled to the length of the longest train series. Their distance is that of dynamic time warping; the
    window is the one that classifies most train rows by the other ones. Where time does not allow for any window, the
    distance is Euclidean.
    """
    channels, longest, pairs = train.values.shape[-1], int(train.lengths.max()), len(train) * (len(train) + len(test))
    steps = min(longest, WARPED)
    widest = CELLS / (pairs * channels * steps)
    if widest < NARROWEST:
        steps = min(longest, STEPS)
    rows = sampled(train, int(min(VALUES, PRODUCTS / len(test)) / (channels * steps)), "nearest_neighbour")
    known = torch.cat([resampled(batch, steps) for batch in batches(train, rows)])
    targets = train.targets[list(rows)]
    window = _best_window(known, targets, widest)
    kind = f"dynamic time warping by up to {window} of {steps} steps" if window else "Euclidean distance"
    log.info("baseline nearest_neighbour: %s", kind)
    nearest = [_nearest(resampled(batch, steps), known, window) for batch in batches(test, range(len(test)))]
    found = targets[torch.cat(nearest)]
    chosen = torch.nn.functional.one_hot(found, outputs) if found.dim() == 1 else found
    return torch.where(chosen > 0, torch.inf, -torch.inf)


def _best_window(known: Tensor, targets: Tensor, widest: float) -> int:
    """Return the window that classifies most rows by the others, of those that are at most ``widest`` steps wide."""
    steps = known.shape[1]
    windows = sorted({round(share * steps) for share in WINDOWS})
    affordable = [window for window in windows if window and 2 * window + 1 <= widest]
    if not affordable:
        return 0
    right = {}
    for window in (0, *affordable):
        found = targets[_nearest(known, known, window, others=True)]
        right[window] = int((found == targets).reshape(len(targets), -1).all(1).sum())
    return max(right, key=lambda window: (right[window], -window))


def _nearest(new: Tensor, known: Tensor, window: int, *, others: bool = False) -> Tensor:
    """Return the nearest known row of each new one; with ``others``, the same rows, of each the nearest other one."""
    found, first = [], 0
    for part in new.split(max(PAIRS // len(known), 1) if window else AT_ONCE):
        distances = warped(part, known, window) if window else torch.cdist(part.flatten(1), known.flatten(1))
        if others:
            distances[:, first : first + len(part)].fill_diagonal_(torch.inf)
        found.append(distances.argmin(1))
        first += len(part)
    return torch.cat(found)


def warped(new: Tensor, known: Tensor, window: int) -> Tensor:
    """Return squared distances by dynamic time warping, of series of equal length ``(rows, time, channels)``.

    All pairs are computed together, one diagonal of their tables of partial distances at a time: what is on a diagonal
    depends on the two before it alone.

    Args:
        new, known: the series.
        window: by how many steps two that are compared may lie apart, at least 1.

    Returns:
        ``(rows of new, rows of known)``: the least sum of squared differences along a path.

    Example:
        >>> warped(torch.tensor([[[0.0], [0.0], [3.0]]]), torch.tensor([[[0.0], [3.0], [3.0]]]), 1)
        tensor([[0.]])
    """
    steps = new.shape[1]
    first = new.transpose(0, 1)[:, :, None]
    second = known.transpose(0, 1).flip(0)[:, None]  # backwards: on a diagonal, one index grows as the other shrinks
    tables = [torch.full((steps + 2, len(new), len(known)), torch.inf, dtype=new.dtype) for _ in range(3)]
    tables[1][0] = 0.0  # before the first steps; row i + 1 of a diagonal is that of step i of the new series
    for diagonal in range(2 * steps - 1):
        before_last, last, now = (tables[(diagonal + shift) % 3] for shift in (1, 2, 3))
        low = max(0, diagonal - steps + 1, (diagonal - window + 1) // 2)
        high = min(steps - 1, diagonal, (diagonal + window) // 2) + 1
        start = steps - 1 - diagonal
        differences = first[low:high] - second[start + low : start + high]
        least = torch.minimum(before_last[low:high], torch.minimum(last[low:high], last[low + 1 : high + 1]))
        now[low + 1 : high + 1] = least + differences.square().sum(-1)
        now[low] = now[high + 1] = torch.inf  # beyond the window
    return tables[(2 * steps - 2) % 3][steps]
