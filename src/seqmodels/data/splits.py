"""Splits that depend on a seed alone."""

from collections.abc import Sequence

import torch
from torch import Tensor


def stratified_split(labels: Tensor, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Part the rows so that each class has the same share in every part, up to rounding.

    Args:
        labels: ``(rows,)`` class of each row.
        shares: what part of the rows goes where; they sum to 1.
        seed: of the draw; the same seed gives the same parts.

    Returns:
        The row numbers of each part, in ascending order; together they are all rows, each once.
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
