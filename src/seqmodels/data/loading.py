"""Batches in an order that depends on the seed and the epoch alone."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from seqmodels.errors import LoadingFailed

LARGE_PRIME = 1_000_003  # spreads (seed, epoch) pairs over distinct generator seeds

PATIENCE = "SEQMODELS_WORKER_TIMEOUT"  # seconds that a worker process may take for a batch, in the environment
USUAL_PATIENCE = 600.0

Batch = TypeVar("Batch")
Augmentation = Callable[[Batch, torch.Generator], Batch]
"""Changes a batch at random; all its randomness comes from the generator."""


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


class LengthBatches(Sampler[list[int]]):
    """Batches of rows of like length, in an order that is a function of the seed and the epoch as well.

    When shuffled, rows are sorted by length within pools of ``POOL`` batches, and the batches drawn anew; otherwise all
    rows are sorted, the longest first, so that memory is asked for once.
    """

    POOL = 50

    def __init__(self, order: EpochOrder, lengths: Tensor, batch_size: int, drop_last: bool) -> None:
        self.sampler = order  # by this name Lightning finds its set_epoch
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


class ResumableLoader(ABC, Generic[Batch]):
    """Batches that can go on in the middle of an epoch: their order depends on the seed and the epoch alone.

    An iteration begins when its first batch is asked for. Lightning sets the epoch after it has called ``iter``, and it
    stores the state of a loader that has these two methods in its checkpoints.
    """

    ORIGIN: ClassVar[str] = "rows"
    """What :meth:`origins` are."""

    def __init__(self) -> None:
        self._handed_over = 0  # of this epoch; worker processes may have read ahead of it
        self._first = 0  # where the next iteration begins

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    @abstractmethod
    def batches(self, first: int) -> Iterator[Batch]:
        """Yield the batches of the epoch from number ``first`` on; those before are not read."""

    @abstractmethod
    def origins(self, epoch: int, number: int) -> list[str]:
        """Return for each row of batch ``number`` of an epoch where in the split it comes from; nothing is read."""

    def __iter__(self) -> Iterator[Batch]:
        self._handed_over, self._first = self._first, 0
        for batch in self.batches(self._handed_over):
            self._handed_over += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"batches": self._handed_over}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next iteration begin after so many batches of its epoch."""
        self._first = self._handed_over = state_dict["batches"]


class LaterBatches(Sampler[list[int]]):
    """The batches of another sampler, without the first few of the next iteration."""

    def __init__(self, batch_sampler: BatchSampler | LengthBatches) -> None:
        self.batch_sampler = batch_sampler
        self.first = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[int]]:
        # Nothing is drawn before the first batch is asked for: with worker processes DataLoader calls iter() twice.
        yield from islice(self.batch_sampler, self.first, None)


class SequenceLoader(ResumableLoader[Batch]):
    """Batches of a data set that reads a list of rows at once (``__getitems__``).

    It holds a ``DataLoader`` and is none itself: Lightning then neither swaps its sampler nor warns of the few worker
    processes that data in memory need. It leaves the global random state alone.

    Args:
        dataset, batch_sampler, num_workers: as in ``DataLoader``.
        seed: of the worker processes.
        augment: changes each batch; what it draws is a function of the seed and the epoch of the order, the number of
            the batch and the process, whatever the number of workers.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        batch_sampler: BatchSampler | LengthBatches,
        *,
        num_workers: int = 0,
        seed: int = 0,
        augment: Augmentation[Batch] | None = None,
    ) -> None:
        super().__init__()
        self.batch_sampler = batch_sampler  # Lightning finds its sampler's set_epoch
        self.augment = augment
        self._later = LaterBatches(batch_sampler)
        self._loader: DataLoader[Batch] = DataLoader(
            dataset,
            batch_sampler=self._later,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            timeout=_patience() if num_workers else 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(seed),
        )

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def batches(self, first: int) -> Iterator[Batch]:
        order = self.batch_sampler.sampler
        assert isinstance(order, EpochOrder)
        seed = ((order.seed * LARGE_PRIME + order.epoch) * LARGE_PRIME + order.rank) * LARGE_PRIME
        self._later.first = first
        epoch, loader, number = order.epoch, iter(self._loader), first
        while (batch := self._read(loader, epoch, number)) is not None:
            if self.augment is not None:
                batch = self.augment(batch, torch.Generator().manual_seed((seed + number) % 2**63))
            yield batch
            number += 1

    def origins(self, epoch: int, number: int) -> list[str]:
        order = self.batch_sampler.sampler
        assert isinstance(order, EpochOrder)
        next_epoch, order.epoch = order.epoch, epoch
        rows: list[int] = next(islice(self.batch_sampler, number, None), [])
        order.epoch = next_epoch
        return [str(row) for row in rows]

    def _read(self, loader: Iterator[Batch], epoch: int, number: int) -> Batch | None:
        """Return the next batch, None after the last.

        Raises:
            LoadingFailed: it cannot be read; the message names its rows and, as the error does, their file.
        """
        try:
            return next(loader, None)
        except Exception as error:
            lines = str(error).strip().splitlines()  # what a worker raises ends in its own message
            cause = lines[-1] if lines else type(error).__name__
            if "timed out" in cause:
                cause += f" (the environment variable {PATIENCE} sets another time)"
            rows = ", ".join(self.origins(epoch, number))
            raise LoadingFailed(f"batch {number} of epoch {epoch}, rows {rows}, could not be read: {cause}") from error


def _as_it_is(batch: Batch) -> Batch:
    """Return what ``__getitems__`` gave; a function by name, so that worker processes can be spawned."""
    return batch


def _patience() -> float:
    """Return after how many seconds a worker process that does not answer ends the run; 0: never.

    Raises:
        ValueError: the environment variable is no such number.
    """
    given = os.environ.get(PATIENCE, str(USUAL_PATIENCE))
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"the environment variable {PATIENCE} must be a number of seconds, 0 for ever; got {given!r}")
    return seconds
