"""Batches in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Generic, TypeVar

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

LARGE_PRIME = 1_000_003  # spreads (seed, epoch) pairs over distinct generator seeds

Batch = TypeVar("Batch")


class EpochOrder(Sampler[int]):
    """Rows of one process in the order of one epoch; each new iteration is the next epoch unless one is set.

    Under several processes (``world_size``) each takes every ``world_size``-th row. When shuffled, the order is filled
    up from its start so that all take equally many steps; otherwise no row is seen twice, so that metrics are exact.
    """

    def __init__(self, size: int, *, seed: int, shuffle: bool, rank: int = 0, world_size: int = 1) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of ``epoch``; Lightning calls this as an epoch starts."""
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


class SequenceLoader(Generic[Batch]):
    """Batches of a data set that reads a list of rows at once (``__getitems__``).

    It holds a ``DataLoader`` and is none itself: Lightning then neither swaps its sampler nor warns of the few worker
    processes that data in memory need. It leaves the global random state alone.
    """

    def __init__(
        self, dataset: Dataset[Batch], order: EpochOrder, *, batch_size: int, drop_last: bool, num_workers: int = 0
    ) -> None:
        self.batch_sampler = BatchSampler(order, batch_size, drop_last)  # Lightning finds its sampler's set_epoch
        self._loader: DataLoader[Batch] = DataLoader(
            dataset,
            batch_sampler=self.batch_sampler,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(order.seed),
        )

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)


def _as_it_is(batch: Batch) -> Batch:
    """Return what ``__getitems__`` gave; a function by name, so that worker processes can be spawned."""
    return batch
