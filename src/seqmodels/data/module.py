"""Lightning data module composed of source, preparation and loading."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningDataModule

from seqmodels.data.batch import TargetKind
from seqmodels.data.loaders import Augmentation, ResumableLoader, Split
from seqmodels.data.loading import Loading
from seqmodels.data.preparation import Preparation, Prepared
from seqmodels.data.source import Source


class DataModule(LightningDataModule):
    """Data module for a Lightning trainer.

    Args:
        source: the data set.
        preparation: how it is turned into tensors; by default, the source's preparation with its defaults.
        loading: batching options.
        augmentation: applied to every training batch, in order; :meth:`setup` tries them.

    Example:
        >>> from seqmodels.data import DigitsData, Loading
        >>> data = DataModule(DigitsData(), loading=Loading(batch_size=7))
        >>> data.setup()
        >>> next(iter(data.train_dataloader())).inputs.shape
        torch.Size([7, 8, 8])
        >>> data.sizes
        {'input_size': 8, 'output_size': 10, 'time': 8}
    """

    def __init__(
        self,
        source: Source,
        preparation: Preparation | None = None,
        loading: Loading | None = None,
        augmentation: Sequence[Augmentation[Any]] = (),
    ) -> None:
        super().__init__()
        for name, value, kind in (
            ("source", source, Source),
            ("preparation", preparation, Preparation | None),
            ("loading", loading, Loading | None),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be a {kind}, got {value!r:.100}")
        self.name = source.name
        self.source = source
        self.preparation = source.preparation() if preparation is None else preparation
        self.loading = Loading() if loading is None else loading
        self.augmentation = augmentation
        self._prepared: Prepared | None = None

    def __repr__(self) -> str:
        return f"DataModule({self.source!r}, {self.preparation!r}, {self.loading!r})"

    __str__ = __repr__  # Lightning's would read a batch from each loader

    @property
    def target_kind(self) -> TargetKind:
        return self.source.target_kind

    @property
    def folder(self) -> str:
        return self.source.folder

    @property
    def batch_size(self) -> int:
        return self.loading.batch_size

    @property
    def prepared(self) -> Prepared:
        """The data as tensors, after :meth:`setup`."""
        if self._prepared is None:
            raise RuntimeError("DataModule.setup() must be called before its data are read")
        return self._prepared

    @property
    def sizes(self) -> dict[str, Any]:
        return self.prepared.sizes

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.prepared.class_names

    @property
    def preprocessing(self) -> dict[str, Any]:
        return self.prepared.preprocessing

    def join_splits(self) -> None:
        """Train on the rows of all splits from now on, with what was fitted on the train split."""
        splits = self.prepared.splits
        others = [split for split in (splits.val, splits.test) if split is not None]
        self._prepared = self.prepared._replace(splits=splits._replace(train=splits.train.joined(others)))

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self.prepared.splits.test is not None

    def prepare_data(self) -> None:
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (all splits are read at once)
        """Read, prepare and check the splits; a second call does nothing.

        Raises:
            ValueError: a split is empty, has invalid targets or yields no batch, or an augmentation does not support
                its batches.
        """
        if self._prepared is not None:
            return
        prepared = self.preparation.prepare(self.source.splits())
        for name, split in prepared.splits._asdict().items():
            if split is not None:
                split.check(name, self.target_kind, prepared.sizes, self.loading)
        if self.augmentation:
            prepared.splits.train.loader("train", self.loading, augment=self.augment)  # rejects bad augmentations
        self._prepared = prepared

    def split(self, name: str) -> Any:
        """Return the split ``train``, ``val`` or ``test``, after :meth:`setup`.

        Raises:
            ValueError: the data have no test split.
        """
        split = getattr(self.prepared.splits, name)
        if split is None:
            raise ValueError(f"data={self.name}: there is no {name} split")
        return split

    def augment(self, batch: Any, generator: torch.Generator) -> Any:
        """Apply every augmentation to a training batch."""
        for augmentation in self.augmentation:
            batch = augmentation(batch, generator)
        return batch

    def train_dataloader(self) -> ResumableLoader[Any]:
        # With overfit_batches, every epoch must use the same batches.
        fixed = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return self._loader("train", shuffle=not fixed)

    def val_dataloader(self) -> ResumableLoader[Any]:
        return self._loader("val")

    def test_dataloader(self) -> ResumableLoader[Any]:
        return self._loader("test")

    def predict_dataloader(self) -> ResumableLoader[Any]:
        """Return a loader of the test split in its original order, without bucketing."""
        split: Split[Any] = self.split("test")
        return split.loader("test", replace(self.loading, bucketing=False))

    def _loader(self, name: str, *, shuffle: bool = False) -> ResumableLoader[Any]:
        """Return the loader of a split for this process."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        augment = self.augment if name == "train" and self.augmentation else None
        split: Split[Any] = self.split(name)
        return split.loader(name, self.loading, shuffle=shuffle, rank=rank, world_size=world_size, augment=augment)
