"""Splitting of rows by time, by class or at random, determined by the seed alone."""

from collections.abc import Sequence

import torch
from torch import Tensor


def split_stratified(labels: Tensor, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Split rows so that each class has the same share in every part, up to rounding.

    Args:
        labels: ``(rows,)`` class per row.
        shares: fraction of the rows per part; they sum to 1.
        seed: random seed; the same seed gives the same parts.

    Returns:
        The row indices of each part in ascending order; together they cover every row exactly once.
    """
    if any(share <= 0 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares must be positive and sum to 1, got {tuple(shares)}")
    generator = torch.Generator().manual_seed(seed)
    parts: list[list[Tensor]] = [[] for _ in shares]
    edges = torch.tensor([0.0, *shares], dtype=torch.float64).cumsum(0)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        bounds = (edges * len(rows)).round().long().tolist()
        for part, first, end in zip(parts, bounds, bounds[1:], strict=False):
            part.append(rows[first:end])
    return [torch.cat(part).sort().values for part in parts]


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
