"""Base classes for sources of labelled texts."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqmodels.data.batch import TargetKind
from seqmodels.data.formats.strict_text import check_encoding
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.source import PublishedSource, Source
from seqmodels.data.text.labelled import TextPreparation


@dataclass(kw_only=True)
class PublishedTexts(PublishedSource):
    """Published texts with one class each.

    Args:
        data_seed: seed of the split, if it is not published.
    """

    target_kind = "classification"
    preparation = TextPreparation

    data_seed: int = 0


@dataclass(kw_only=True)
class OwnTexts(Source):
    """Your own labelled texts.

    Args:
        path: all texts, or the training texts.
        val_path, test_path: validation and test texts; drawn from ``path`` if None.
        val_share, test_share: share of ``path`` to draw for a split without its own path, stratified by class; with a
            ``test_share`` of 0 there is no test split.
        encoding: encoding of the files.
        data_seed: seed of the draw.
    """

    target_kind: ClassVar[TargetKind] = "classification"
    preparation = TextPreparation
    citation = "your own data"
    license = "your own"

    path: str | Path
    val_path: str | Path | None = None
    test_path: str | Path | None = None
    val_share: float = 0.1
    test_share: float = 0.1
    encoding: str = "utf-8"
    data_seed: int = 0

    def __post_init__(self) -> None:
        drawn = self._drawn()
        for name, share in drawn.items():
            if not 0 < share < 1:
                limits = "be 0 or lie" if name == "test" else "lie"
                raise ValueError(f"{name}_share must {limits} in (0, 1) where there is no {name}_path, got {share}")
        if sum(drawn.values()) >= 1:
            raise ValueError(f"val_share and test_share must leave something to train with, got {list(drawn.values())}")
        check_encoding(self.encoding)

    @abstractmethod
    def read(self, path: Path) -> LabelledTexts:
        """Read the texts at a path."""

    def splits(self) -> Splits[LabelledTexts]:
        paths = {"train": self.path, "val": self.val_path, "test": self.test_path}
        parts = {name: self.read(Path(path)) for name, path in paths.items() if path is not None}
        if drawn := self._drawn():
            shares = (1 - sum(drawn.values()), *drawn.values())
            parts |= zip(("train", *drawn), parts["train"].split(shares, self.data_seed), strict=True)
        return Splits(**parts)

    def _drawn(self) -> dict[str, float]:
        """Return the shares of the splits drawn from ``path``."""
        paths = {"val": (self.val_path, self.val_share), "test": (self.test_path, self.test_share)}
        return {name: share for name, (path, share) in paths.items() if path is None and (name, share) != ("test", 0)}
