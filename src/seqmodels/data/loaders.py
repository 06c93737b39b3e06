"""Batches in an order that depends on the seed and the epoch alone."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from seqmodels.data.batch import TargetKind
from seqmodels.data.loading import Loading
from seqmodels.data.sampling import LARGE_PRIME, BucketBatchSampler, EpochSampler, SkipFirst
from seqmodels.errors import LoadingFailed

PATIENCE = "SEQMODELS_WORKER_TIMEOUT"  # seconds that a worker process may take for a batch, in the environment
USUAL_PATIENCE = 600.0

Batch = TypeVar("Batch")
Augmentation = Callable[[Batch, torch.Generator], Batch]
"""Changes a batch at random; all its randomness comes from the generator."""


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
        batch_sampler: BatchSampler | BucketBatchSampler,
        *,
        num_workers: int = 0,
        seed: int = 0,
        augment: Augmentation[Batch] | None = None,
    ) -> None:
        super().__init__()
        self.batch_sampler = batch_sampler  # Lightning finds its sampler's set_epoch
        self.augment = augment
        self._later = SkipFirst(batch_sampler)
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
        assert isinstance(order, EpochSampler)
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
        assert isinstance(order, EpochSampler)
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


class Split(ABC, Generic[Batch]):
    """One part of prepared data: it checks itself, and makes its batches."""

    @abstractmethod
    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:
        """Raise ``ValueError``, naming the split, where it is not what ``kind`` and ``sizes`` say or has no batch."""

    @abstractmethod
    def loader(
        self,
        name: str,
        loading: Loading,
        *,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        augment: Augmentation[Batch] | None = None,
    ) -> ResumableLoader[Batch]:
        """Return the batches of one process.

        Args:
            name: ``train``, ``val`` or ``test``.
            loading: how batches are made.
            shuffle: draw the order anew for each epoch.
            rank, world_size: this process, and how many there are.
            augment: changes each batch; it is tried on the first row.

        Raises:
            ValueError: there are fewer rows than processes, or augmentation cannot act on the batches.
        """


class Rows(Dataset[Batch], Split[Batch]):
    """Rows of any kind. ``DataLoader`` asks for a whole batch at once (``__getitems__``), not for a row at a time."""

    lengths: Tensor  # (rows,)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Batch:
        """Return one row without padding and without a batch dimension."""
        batch: Any = self.__getitems__([row])
        return type(batch)(*(tensor[0] for tensor in batch))

    @abstractmethod
    def __getitems__(self, rows: list[int]) -> Batch:
        """Return a batch, padded to its longest row."""

    def loader(
        self,
        name: str,
        loading: Loading,
        *,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
        augment: Augmentation[Batch] | None = None,
    ) -> SequenceLoader[Batch]:
        if len(self) < world_size:
            raise ValueError(f"the {name} split has {len(self)} rows, fewer than there are processes: {world_size}")
        if augment is not None:
            augment(self.__getitems__([0]), torch.Generator().manual_seed(0))
        order = EpochSampler(len(self), seed=loading.seed, shuffle=shuffle, rank=rank, world_size=world_size)
        size, drop_last = loading.rows(name), loading.drop_last and name == "train"
        by_length = BucketBatchSampler(order, self.lengths, size, drop_last) if loading.bucketing else None
        batches = by_length or BatchSampler(order, size, drop_last)
        return SequenceLoader(self, batches, num_workers=loading.num_workers, seed=loading.seed, augment=augment)
