"""Data sources: the files of a data set and its raw splits."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from seqmodels.data.batch import TargetKind
from seqmodels.data.formats.files import DataFile, require
from seqmodels.data.preparation import Preparation
from seqmodels.data.raw import Splits


@dataclass(kw_only=True)
class Source(ABC):
    """A data set, or a reader for one kind of user file. Its fields select the data, not their use.

    Iterating over a source yields its three splits: ``train, val, test = DigitsData()``.

    ``data_seed`` determines the data (split, permutation, generated values); ``seed`` of
    :class:`~seqmodels.data.Loading` determines the order of training batches.
    """

    name: ClassVar[str]
    target_kind: ClassVar[TargetKind]
    citation: ClassVar[str]
    license: ClassVar[str]
    preparation: ClassVar[type[Preparation]]
    """Turns the data into tensors."""
    folder: ClassVar[str] = ""  # relative to the data folder; empty if no files are needed
    files: ClassVar[tuple[DataFile, ...]] = ()

    def prepare(self) -> None:
        """Check that the files exist; download missing ones if allowed.

        Raises:
            FileNotFoundError: files are missing.
        """
        return

    @abstractmethod
    def splits(self) -> Splits[Any]:
        """Read or generate the raw data as texts, series or documents.

        Raises:
            FileNotFoundError: files are missing.
            ValueError: a file is damaged or cannot be read; the message has the location.
        """

    def __iter__(self) -> Iterator[Any]:
        return iter(self.splits())


@dataclass(kw_only=True)
class PublishedSource(Source):
    """A data set of published files in a data folder.

    Args:
        data_dir: contains the set's ``folder`` with its files, plain or ``.gz``.
        download: whether to download missing files.
    """

    data_dir: str | Path
    download: bool = False

    @property
    def set_folder(self) -> Path:
        """The folder of the set's files."""
        return Path(self.data_dir) / self.folder

    def prepare(self) -> None:
        if self.download:
            from seqmodels.data.download import download_missing  # noqa: PLC0415  (most never need the network)

            download_missing(self.files, self.set_folder)
        require(self.set_folder, self.files)
