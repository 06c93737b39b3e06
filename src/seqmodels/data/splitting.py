"""Splitting of rows by time, by class or at random, determined by the seed alone."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]


def split_stratified(labels: Tensor, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Split rows at random into parts that have their share of all rows, and of each class as evenly as possible.

    A part differs from its share by less than one row, and holds at least one if there are enough. The first part keeps
    a row of each class, and at least half its share of it; classes with few rows may be missing from the others.

    Args:
        labels: ``(rows,)`` class per row.
        shares: fraction of the rows per part; they sum to 1.
        seed: random seed; the same seed gives the same parts.

    Returns:
        The row indices of each part in ascending order; together they cover every row exactly once.

    Raises:
        ValueError: the shares are none, or there are so many classes that a part has no row.
    """
    if any(share <= 0 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares must be positive and sum to 1, got {tuple(shares)}")
    generator = torch.Generator().manual_seed(seed)
    sizes = labels.unique(return_counts=True)[1].tolist()
    classes = labels.argsort(stable=True).split(sizes)
    drawn = [rows[torch.randperm(len(rows), generator=generator)] for rows in classes]
    order = torch.randperm(len(sizes), generator=generator).numpy()  # of the classes that are equally far from even
    counts = _rows_of_parts(np.array(sizes), np.array(shares), order)
    if 1 in sizes and len(labels) >= len(shares) and not counts.any(0).all():
        raise ValueError(
            f"there are {len(sizes)} classes for {len(labels)} rows, and those of a single row are kept for training, "
            "so that no row is left for another split: is the label that of the right column (data.label)?"
        )
    cut = [rows.split(taken) for rows, taken in zip(drawn, counts.tolist(), strict=True)]
    return [torch.cat(part).sort().values for part in zip(*cut, strict=True)]


def _rows_of_parts(sizes: Counts, shares: NDArray[np.float64], order: Counts) -> Counts:
    """Return how many rows of each class each part gets, ``(classes, parts)``.

    Each class is rounded by itself. If the parts are then not of their sizes, rows move between them in the classes
    where that leaves counts nearest to their exact shares; ``order`` decides between equals.
    """
    ends = (np.concatenate([[0.0], shares.cumsum()]) * sizes[:, None]).round().astype(np.int64)
    counts: Counts = ends[:, 1:] - ends[:, :-1]
    exact = _exact(sizes, shares)
    least = np.zeros_like(counts)
    least[:, 0] = np.maximum(1, (sizes * shares[0] / 2).astype(np.int64))
    for part in range(1, len(shares)):  # a class of one or two rows may be missing from the first part
        lacking = counts[:, 0] < least[:, 0]
        given = np.minimum(counts[:, part], (least - counts)[:, 0]) * lacking
        counts[:, 0] += given
        counts[:, part] -= given
    aim = _sizes_of_parts(counts.sum(0), shares)
    while (excess := counts.sum(0) - aim).any():
        source, sink = int(excess.argmax()), int(excess.argmin())
        cost = 1 + (counts - exact)[:, sink] - (counts - exact)[:, source]  # half the rise of the sum of squares
        free = order[(counts > least)[order, source]]
        if not len(free):
            break
        cheapest = free[cost[free].argsort(kind="stable")][: min(excess[source], -excess[sink])]
        chosen = cheapest[cost[cheapest] < cost[cheapest[0]] + 2]  # a second row of a class costs 2 more
        counts[chosen, source] -= 1
        counts[chosen, sink] += 1
    return counts


def _exact(sizes: Counts, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exact share of each part in each class; those with one row are in the first, and others make up."""
    single = sizes == 1
    rest = shares[1:] * sizes.sum() / max(sizes[~single].sum(), 1)
    exact = np.where(single[:, None], 0.0, rest) * sizes[:, None]
    return np.column_stack([sizes - exact.sum(1), exact])


def _sizes_of_parts(sizes: Counts, shares: NDArray[np.float64]) -> Counts:
    """Return the sizes of parts by largest remainders; ``sizes`` if they are less than a row off."""
    rows = sizes.sum()
    if (np.abs(sizes - shares * rows) < 1).all() and sizes.all():
        return sizes
    aim = (shares * rows + 1e-9).astype(np.int64)
    aim[(aim - shares * rows).argsort(kind="stable")[: rows - aim.sum()]] += 1
    for part in np.flatnonzero(aim == 0)[: max(rows - len(shares) + 1, 0)]:
        aim[part], aim[aim.argmax()] = 1, aim.max() - 1
    return aim


def split_random(rows: int, sizes: Sequence[int], seed: int) -> list[list[int]]:
    """Randomly split rows into parts of ``sizes[0]``, ``sizes[1]``, ... rows; the last part is the remainder."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist()
    ends = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    return [order[first:end] for first, end in zip(ends, [*ends[1:], rows], strict=True)]


def split_by_time(steps: int, shares: Sequence[float]) -> tuple[int, int, int]:
    """Return the ends of the training, validation and test parts of ``steps``.

    Args:
        shares: one per part. Numbers up to 1 are fractions of all steps, in order, with no remainder if they sum to 1;
            integers above 1 are step counts. The last may be 0: there is no test part.

    Raises:
        ValueError: they are neither, or exceed the number of steps.
    """
    wrong = (
        "split must be three shares that sum to at most 1, or three numbers of steps; the last may be 0, for no test "
        f"part; got {list(shares)}"
    )
    if len(shares) != 3 or any(isinstance(share, bool) or not share >= 0 for share in shares) or 0 in shares[:2]:
        raise ValueError(wrong)
    if all(isinstance(share, int) and (share > 1 or not share) for share in shares):
        if sum(shares) > steps:
            raise ValueError(f"split={list(shares)} asks for {sum(shares)} steps, there are {steps}")
        ends = (shares[0], shares[0] + shares[1], sum(shares))
        return int(ends[0]), int(ends[1]), int(ends[2])
    if sum(shares) > 1 + 1e-9:
        raise ValueError(wrong)
    # the outer parts come first, as in papers: 70/10/20 is int(0.7 n), the rest, int(0.2 n)
    train, last = int(steps * shares[0] + 1e-9), int(steps * shares[2] + 1e-9)
    end = steps if sum(shares) > 1 - 1e-9 else int(steps * sum(shares))
    return train, end - last, end
