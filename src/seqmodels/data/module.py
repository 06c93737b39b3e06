"""What all data modules share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import BatchSampler

from seqmodels.data.batch import TargetKind
from seqmodels.data.checks import check_split
from seqmodels.data.download import download
from seqmodels.data.files import DataFile, locate, require
from seqmodels.data.loading import Augmentation, EpochOrder, LengthBatches, SequenceLoader

SPLITS = ("train", "val", "test")


class SequenceDataModule(LightningDataModule, ABC):
    """A data set: its splits, its sizes, its origin. A subclass says where the splits come from, in :meth:`splits`.

    Two seeds keep two questions apart: ``data_seed`` of a subclass decides what the data are (a split, a permutation,
    generated values), ``seed`` the order in which training sees them.

    Args:
        batch_size: rows of a batch; the last of an epoch may have fewer.
        num_workers: processes that read batches; data in memory need none.
        seed: of the order of the training batches, which is a function of it and the epoch.
        drop_last: leave out a training batch that is not full.
        bucketing: put rows of like length into a batch, so that little is padded.
    """

    name: str
    target_kind: ClassVar[TargetKind]
    citation: ClassVar[str]
    license: ClassVar[str]
    folder: ClassVar[str] = ""  # below the data folder; empty: the set needs no files
    files: ClassVar[tuple[DataFile, ...]] = ()
    augmentation: Sequence[Augmentation[Any]] = ()
    """Applied to every training batch, one after the other; set before :meth:`setup`, which tries them."""

    def __init__(
        self,
        *,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = False,
    ) -> None:
        super().__init__()
        for argument, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("seed", seed, 0),
        ):
            if value < least:
                raise ValueError(f"{argument} must be at least {least}, got {value}")
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.drop_last = drop_last
        self.bucketing = bucketing
        self._splits: Mapping[str, Any] | None = None

    @property
    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """What a model must know of the data, after :meth:`setup`; each is passed on by keyword to what takes it.

        ``input_size``, or ``vocab_size`` where inputs are tokens; ``output_size``; ``time`` where all sequences are
        that long.
        """

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes by index; empty where targets are no classes."""
        return ()

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """How a record of a new file becomes input: a node that rebuilds a ``Preprocessing``, if there is one."""
        return None

    @abstractmethod
    def splits(self) -> Mapping[str, Any]:
        """Read or make the splits ``train``, ``val`` and ``test``: data sets that give a batch for a list of rows."""

    def check(self, name: str, split: Any) -> None:
        """Check a split; raise ``ValueError`` naming it, its row and what is wrong."""
        check_split(name, split, self.target_kind, self.sizes)

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (all splits come from one reading)
        """Load and check the splits; a second call does nothing.

        Raises:
            ValueError: a split is empty, has targets that do not fit, or yields no batch, or an augmentation cannot
                act on its batches.
        """
        if self._splits is not None:
            return
        splits = self.splits()
        for name in SPLITS:
            self.check(name, splits[name])
        rows = len(splits["train"])
        if self.drop_last and rows < self.batch_size:
            raise ValueError(
                f"the train split has {rows} rows, fewer than batch_size={self.batch_size}, and drop_last leaves none"
            )
        if self.augmentation:
            self.augment(splits["train"].__getitems__([0]), torch.Generator().manual_seed(0))
        self._splits = splits

    def split(self, name: str) -> Any:
        """Return the split ``train``, ``val`` or ``test``, after :meth:`setup`."""
        if self._splits is None:
            raise RuntimeError(f"{type(self).__name__}.setup() must be called before its data are read")
        return self._splits[name]

    def augment(self, batch: Any, generator: torch.Generator) -> Any:
        """Return a training batch with every augmentation applied."""
        for augmentation in self.augmentation:
            batch = augmentation(batch, generator)
        return batch

    def train_dataloader(self) -> SequenceLoader[Any]:
        # A trainer that overfits a few batches means the same ones in every epoch.
        fixed = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return self.loader("train", shuffle=not fixed, drop_last=self.drop_last)

    def val_dataloader(self) -> SequenceLoader[Any]:
        return self.loader("val")

    def test_dataloader(self) -> SequenceLoader[Any]:
        return self.loader("test")

    def predict_dataloader(self) -> SequenceLoader[Any]:
        """Return the test split, in its own order whatever its lengths are."""
        split = self.split("test")
        order = EpochOrder(len(split), seed=self.seed, shuffle=False)
        return SequenceLoader(
            split, BatchSampler(order, self.batch_size, drop_last=False), num_workers=self.num_workers
        )

    def loader(self, name: str, *, shuffle: bool = False, drop_last: bool = False) -> SequenceLoader[Any]:
        """Return the batches of a split for this process."""
        split = self.split(name)
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if len(split) < world_size:
            raise ValueError(f"the {name} split has {len(split)} rows, fewer than there are processes: {world_size}")
        order = EpochOrder(len(split), seed=self.seed, shuffle=shuffle, rank=rank, world_size=world_size)
        by_length = LengthBatches(order, split.lengths, self.batch_size, drop_last) if self.bucketing else None
        batches = by_length or BatchSampler(order, self.batch_size, drop_last)
        augment = self.augment if name == "train" and self.augmentation else None
        return SequenceLoader(split, batches, num_workers=self.num_workers, seed=self.seed, augment=augment)


class PublishedDataModule(SequenceDataModule):
    """A data set of published files below a data folder; options as in :class:`SequenceDataModule`, and two more.

    Args:
        data_dir: holds the set's ``folder`` with its files, plain or with ``.gz``.
        download: fetch what is missing.
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        download: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = False,
    ) -> None:
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, seed=seed, drop_last=drop_last, bucketing=bucketing
        )
        self.path = Path(data_dir) / self.folder
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, where that is allowed.

        Raises:
            FileNotFoundError: files are missing, and ``download`` is false.
        """
        if self.download:
            for file in self.files:
                if locate(self.path, file) is None:
                    download(file, self.path)
        require(self.path, self.files)
