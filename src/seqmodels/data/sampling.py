"""The order of rows in an epoch, determined by seed and epoch alone."""

from collections.abc import Iterator
from itertools import cycle, islice

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, Sampler

LARGE_PRIME = 1_000_003  # spreads (seed, epoch) pairs over distinct generator seeds


class EpochSampler(Sampler[int]):
    """Rows of one process for one epoch; each iteration advances the epoch unless it is set.

    With several processes, each takes every ``world_size``-th row. When shuffling, the order is padded from its start
    so that all take the same number of steps; otherwise no row is repeated, so that metrics are exact.
    """

    def __init__(self, size: int, *, seed: int, shuffle: bool, rank: int = 0, world_size: int = 1) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; called by Lightning at the start of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        spare = self.world_size - 1 if self.shuffle else self.world_size - 1 - self.rank
        return (self.size + spare) // self.world_size

    def __iter__(self) -> Iterator[int]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if not self.shuffle:
            return iter(range(self.rank, self.size, self.world_size))
        generator = torch.Generator().manual_seed(self.seed * LARGE_PRIME + epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        return islice(cycle(order), self.rank, len(self) * self.world_size, self.world_size)


class BucketBatchSampler(Sampler[list[int]]):
    """Batches of rows of similar length, in an order also determined by seed and epoch.

    When shuffled, rows are sorted by length within pools of ``POOL`` batches, and the batches shuffled; otherwise all
    rows are sorted, longest first, so that memory is allocated once.
    """

    POOL = 50

    def __init__(self, order: EpochSampler, lengths: Tensor, batch_size: int, drop_last: bool) -> None:
        self.sampler = order  # Lightning looks up set_epoch under this name
        self.lengths: list[int] = lengths.tolist()
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __len__(self) -> int:
        rows, size = len(self.sampler), self.batch_size
        return rows // size if self.drop_last else -(-rows // size)

    def __iter__(self) -> Iterator[list[int]]:
        order, size = self.sampler, self.batch_size
        generator = torch.Generator().manual_seed(order.seed * LARGE_PRIME + order.epoch)
        rows = list(order)
        if self.drop_last:
            rows = rows[: len(self) * size]
        pool = self.POOL * size if order.shuffle else max(len(rows), 1)
        pools = [rows[first : first + pool] for first in range(0, len(rows), pool)]
        ordered = [row for part in pools for row in sorted(part, key=self.lengths.__getitem__, reverse=True)]
        batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
        if order.shuffle:
            batches = [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
        return iter(batches)


class SkipFirst(Sampler[list[int]]):
    """Wraps a sampler, skipping the first few batches of the next iteration."""

    def __init__(self, batch_sampler: BatchSampler | BucketBatchSampler) -> None:
        self.batch_sampler = batch_sampler
        self.first = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[int]]:
        # Draw nothing before the first batch is requested: with workers, DataLoader calls iter() twice.
        yield from islice(self.batch_sampler, self.first, None)
