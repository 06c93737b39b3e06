"""Base classes for sources of labelled texts."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqmodels.data.batch import TargetKind
from seqmodels.data.formats.strict_text import check_encoding
from seqmodels.data.own_files import OwnFiles
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.source import PublishedSource
from seqmodels.data.text.token_preparation import TextPreparation


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
class OwnTexts(OwnFiles):
    """Your own labelled texts; splits as for all own files.

    Args:
        encoding: encoding of the files.
    """

    target_kind: ClassVar[TargetKind] = "classification"
    preparation = TextPreparation

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_encoding(self.encoding)

    def read(self, paths: Sequence[Path]) -> list[LabelledTexts]:
        return [self.texts(path) for path in paths]

    @abstractmethod
    def texts(self, path: Path) -> LabelledTexts:
        """Read the texts at a path."""
