"""What all data modules share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from lightning.pytorch import LightningDataModule

from seqmodels.data.batch import SequenceBatch, TargetKind
from seqmodels.data.files import DataFile
from seqmodels.data.loading import EpochOrder, SequenceLoader
from seqmodels.data.sequences import SequenceDataset, check_split

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
    """

    name: str
    target_kind: ClassVar[TargetKind]
    citation: ClassVar[str]
    license: ClassVar[str]
    folder: ClassVar[str] = ""  # below the data folder; empty: the set needs no files
    files: ClassVar[tuple[DataFile, ...]] = ()

    def __init__(self, *, batch_size: int = 32, num_workers: int = 0, seed: int = 0, drop_last: bool = False) -> None:
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
        self._splits: Mapping[str, SequenceDataset] | None = None

    @property
    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """Sizes that a model needs: ``input_size``, ``output_size``, and ``time`` where all sequences are that long."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes by index; empty where targets are no classes."""
        return ()

    @abstractmethod
    def splits(self) -> Mapping[str, SequenceDataset]:
        """Read or make the splits ``train``, ``val`` and ``test``."""

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (all splits come from one reading)
        """Load and check the splits; a second call does nothing.

        Raises:
            ValueError: a split is empty, has targets that do not fit, or yields no batch.
        """
        if self._splits is not None:
            return
        splits = self.splits()
        for name in SPLITS:
            check_split(name, splits[name], self.target_kind, self.sizes["output_size"])
        rows = len(splits["train"])
        if self.drop_last and rows < self.batch_size:
            raise ValueError(
                f"the train split has {rows} rows, fewer than batch_size={self.batch_size}, and drop_last leaves none"
            )
        self._splits = splits

    def split(self, name: str) -> SequenceDataset:
        """Return the split ``train``, ``val`` or ``test``, after :meth:`setup`."""
        if self._splits is None:
            raise RuntimeError(f"{type(self).__name__}.setup() must be called before its data are read")
        return self._splits[name]

    def train_dataloader(self) -> SequenceLoader[SequenceBatch]:
        # A trainer that overfits a few batches means the same ones in every epoch.
        fixed = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return self._loader("train", shuffle=not fixed, drop_last=self.drop_last)

    def val_dataloader(self) -> SequenceLoader[SequenceBatch]:
        return self._loader("val")

    def test_dataloader(self) -> SequenceLoader[SequenceBatch]:
        return self._loader("test")

    def predict_dataloader(self) -> SequenceLoader[SequenceBatch]:
        return self._loader("test")

    def _loader(self, name: str, *, shuffle: bool = False, drop_last: bool = False) -> SequenceLoader[SequenceBatch]:
        split = self.split(name)
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = EpochOrder(len(split), seed=self.seed, shuffle=shuffle, rank=rank, world_size=world_size)
        return SequenceLoader(
            split, order, batch_size=self.batch_size, drop_last=drop_last, num_workers=self.num_workers
        )
