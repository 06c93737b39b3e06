"""Base class for sources of your own files, whose splits are files or drawn from one."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqmodels.data.raw import Splits
from seqmodels.data.source import Source


def check_paths(**paths: object) -> None:
    """Raise ``ValueError`` if the value of an option is no path."""
    for option, path in paths.items():
        if not isinstance(path, str | Path):
            raise ValueError(f"{option} must be a path, got {path!r}")


@dataclass(kw_only=True)
class OwnFiles(Source):
    """Your own files with labelled rows.

    Args:
        path: all rows, or those for training.
        val_path, test_path: rows for validation and test; drawn from ``path`` if None.
        val_share, test_share: share of ``path`` to draw for a split without its own path, stratified by class; with a
            ``test_share`` of 0 there is no test split.
        data_seed: seed of the draw.
    """

    citation = "your own data"
    license = "your own"

    path: str | Path
    val_path: str | Path | None = None
    test_path: str | Path | None = None
    val_share: float = 0.1
    test_share: float = 0.1
    data_seed: int = 0

    def __post_init__(self) -> None:
        others = {"val_path": self.val_path, "test_path": self.test_path}
        check_paths(path=self.path, **{option: path for option, path in others.items() if path is not None})
        if self.val_path is None and not 0 < self.val_share < 1:
            raise ValueError(f"val_share must lie in (0, 1) where there is no val_path, got {self.val_share}")
        if self.test_path is None and not 0 <= self.test_share < 1:
            raise ValueError(f"test_share must lie in [0, 1) where there is no test_path, got {self.test_share}")
        if sum(self._drawn().values()) >= 1:
            shares = list(self._drawn().values())
            raise ValueError(f"val_share and test_share must leave something to train with, got {shares}")

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> list[Any]:
        """Return the rows of each file, which have a method ``split(shares, seed)``; the first is for training."""

    def splits(self) -> Splits[Any]:
        paths = {"train": self.path, "val": self.val_path, "test": self.test_path}
        given = {name: Path(path) for name, path in paths.items() if path is not None}
        parts = dict(zip(given, self.read(list(given.values())), strict=True))
        if drawn := self._drawn():
            shares = (1 - sum(drawn.values()), *drawn.values())
            parts |= zip(("train", *drawn), parts["train"].split(shares, self.data_seed), strict=True)
        return Splits(**parts)

    def _drawn(self) -> dict[str, float]:
        """Return the shares of the splits drawn from ``path``."""
        paths = {"val": (self.val_path, self.val_share), "test": (self.test_path, self.test_share)}
        return {name: share for name, (path, share) in paths.items() if path is None and share}
