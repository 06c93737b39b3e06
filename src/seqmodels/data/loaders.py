"""Batches in an order determined by seed and epoch alone."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from seqmodels.data.batch import TargetKind
from seqmodels.data.loading import Loading
from seqmodels.data.sampling import LARGE_PRIME, BucketBatchSampler, EpochSampler, SkipFirst
from seqmodels.errors import LoadingFailed

PATIENCE = "SEQMODELS_WORKER_TIMEOUT"  # environment variable: seconds a worker may take per batch
USUAL_PATIENCE = 600.0

Batch = TypeVar("Batch")
Augmentation = Callable[[Batch, torch.Generator], Batch]
"""Randomly changes a batch, using only the generator for randomness."""


class ResumableLoader(ABC, Generic[Batch]):
    """Loader that can resume in the middle of an epoch: the order depends on seed and epoch alone.

    An iteration starts when its first batch is requested. Lightning sets the epoch after calling ``iter``, and saves
    the state of loaders with ``state_dict`` and ``load_state_dict`` in its checkpoints.
    """

    ORIGIN: ClassVar[str] = "rows"
    """Unit of :meth:`origins`."""

    def __init__(self) -> None:
        self._handed_over = 0  # in this epoch; workers may have prefetched more
        self._first = 0  # first batch of the next iteration

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches per epoch."""

    @abstractmethod
    def batches(self, first: int) -> Iterator[Batch]:
        """Yield the batches of the epoch from index ``first`` on, without reading the earlier ones."""

    @abstractmethod
    def origins(self, epoch: int, number: int) -> list[str]:
        """Return the location in the split of each row of batch ``number`` of an epoch, without reading it."""

    def __iter__(self) -> Iterator[Batch]:
        self._handed_over, self._first = self._first, 0
        for batch in self.batches(self._handed_over):
            self._handed_over += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"batches": self._handed_over}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Make the next iteration resume after the saved number of batches."""
        self._first = self._handed_over = state_dict["batches"]


class SequenceLoader(ResumableLoader[Batch]):
    """Loader for data sets that read a list of rows at once (``__getitems__``).

    It wraps a ``DataLoader`` instead of subclassing it, so that Lightning neither replaces the sampler nor warns about
    the low number of workers, which in-memory data do not need. It does not touch the global random state.

    Args:
        dataset, batch_sampler, num_workers: as in ``DataLoader``.
        seed: seed of the worker processes.
        augment: applied to each batch; its random numbers depend on the seed and epoch of the sampler, the batch index
            and the process, but not on the number of workers.
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
        self.batch_sampler = batch_sampler  # Lightning looks up its sampler's set_epoch
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
        """Return the next batch, or None after the last.

        Raises:
            LoadingFailed: the batch cannot be read; the message names its rows and, like its cause, their file.
        """
        try:
            return next(loader, None)
        except Exception as error:
            lines = str(error).strip().splitlines()  # an error raised in a worker ends with the original message
            cause = lines[-1] if lines else type(error).__name__
            if "timed out" in cause:
                cause += f" (the environment variable {PATIENCE} sets another time)"
            rows = ", ".join(self.origins(epoch, number))
            raise LoadingFailed(f"batch {number} of epoch {epoch}, rows {rows}, could not be read: {cause}") from error


def _as_it_is(batch: Batch) -> Batch:
    """Identity collate function; a named function, so that workers can be spawned."""
    return batch


def _patience() -> float:
    """Return the timeout in seconds for an unresponsive worker process; 0: no timeout.

    Raises:
        ValueError: invalid value in the environment variable.
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
    """One split of the prepared data, with its validation and its loader."""

    @abstractmethod
    def check(self, name: str, kind: TargetKind, sizes: Mapping[str, Any], loading: Loading) -> None:
        """Raise ``ValueError``, naming the split, if it does not match ``kind`` and ``sizes`` or yields no batch."""

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
        """Return the loader of one process.

        Args:
            name: ``train``, ``val`` or ``test``.
            loading: batching options.
            shuffle: reshuffle in every epoch.
            rank, world_size: index of this process and number of processes.
            augment: applied to each batch; it is tried on the first row.

        Raises:
            ValueError: fewer rows than processes, or the augmentation does not support the batches.
        """

    @abstractmethod
    def joined(self, others: Sequence[Any]) -> Self:
        """Return a split with the rows of this one and of other splits of the same data, one after the other."""


class Rows(Dataset[Batch], Split[Batch]):
    """Map-style data set; ``DataLoader`` fetches a whole batch at once (``__getitems__``), not row by row."""

    lengths: Tensor  # (rows,)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Batch:
        """Return one row without padding or batch dimension."""
        batch: Any = self.__getitems__([row])
        return type(batch)(*(part[0] if isinstance(part, Tensor) else part for part in batch))

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
