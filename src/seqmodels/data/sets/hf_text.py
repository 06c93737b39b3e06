"""Text from Hugging Face ``datasets``, streamed one document at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import Source
from seqmodels.data.text.language_modeling import TokenizedPreparation

HELD = 20
"""One in this many documents is for validation and one for test, if the data set lacks these splits."""


@dataclass(kw_only=True)
class HuggingFaceText(Source):
    """Documents from the Hugging Face hub, or from files that ``datasets`` reads, for language models.

    They are streamed once to learn the vocabulary and to write memory-mapped token files; after that, neither network
    nor ``datasets`` is needed, each process reads its own rows, each epoch has its own order, and a run can resume
    anywhere. Tokens take one to four bytes each on disk.

    Args:
        path: data set on the hub, e.g. ``wikitext``, or a file builder: ``json``, ``csv``, ``parquet``, ``text``.
        config: configuration of the data set, if it has several.
        revision: branch, tag or commit on the hub. Tokens are cached: new data need another revision.
        data_files: files for a builder: a path, or paths by split.
        split, val_split, test_split: splits of the data set to use. If the last two are None, every 20th document is
            for validation, and the one after it for test. With ``val_split`` alone, there is no test split.
        column: text column.
        max_documents: limit per split, for a quick trial.
        vocabulary_documents: limit for learning the vocabulary; all if None.
    """

    name = "hf_text"
    target_kind = "language_modeling"
    citation = "as its page on huggingface.co says"
    license = "as its page on huggingface.co says"
    preparation = TokenizedPreparation

    path: str
    config: str | None = None
    revision: str | None = None
    data_files: str | Sequence[str] | Mapping[str, Any] | None = None
    split: str = "train"
    val_split: str | None = None
    test_split: str | None = None
    column: str = "text"
    max_documents: int | None = None
    vocabulary_documents: int | None = 100_000

    def __post_init__(self) -> None:
        for name in ("max_documents", "vocabulary_documents"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    def splits(self) -> Splits[Documents]:
        stamps = [
            [str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns]
            for given in _paths(self.data_files)
            for file in _matching(Path(given).absolute())
        ]
        names = {"train": self.split, "val": self.val_split, "test": self.test_split}
        held = self._held
        most, learnt_from = self.max_documents, self.vocabulary_documents
        asked = {"names": names, "column": self.column, "most": most, "learnt_from": learnt_from}
        origin = {"files": stamps, **self._where, **asked}
        return Splits(
            **{
                split: Documents(partial(self._read, split, name), self.name, origin, learnt_from)
                for split, name in names.items()
                if name is not None or split in held.values()
            }
        )

    @property
    def _held(self) -> dict[int, str]:
        """Splits drawn from ``split``, by the number of a document among ``HELD``."""
        if self.val_split is not None:
            return {}
        return {HELD - 2: "val"} | ({HELD - 1: "test"} if self.test_split is None else {})

    @property
    def _where(self) -> dict[str, Any]:
        """Arguments for ``datasets.load_dataset``."""
        where = {"path": self.path, "name": self.config, "revision": self.revision, "data_files": self.data_files}
        return {key: value for key, value in where.items() if value is not None}

    def _read(self, split: str, own: str | None) -> Iterator[Iterator[str]]:
        """Yield the documents of a split, called ``own`` in the data set."""
        held = {} if split == "test" and own is not None else self._held
        taken = 0
        for number, text in enumerate(self._stream(own or self.split)):
            if not text or (held and held.get(number % HELD, "train") != split):
                continue
            yield iter([text])
            taken += 1
            if taken == self.max_documents:
                return

    def _stream(self, split: str) -> Iterator[str]:
        """Yield the texts of a split.

        Raises:
            ImportError: the package ``datasets`` is not installed.
            ValueError: no such data set, split or column, or its content is not text.
        """
        where = self._where
        try:
            import datasets  # noqa: PLC0415  (seconds, and an extra)
        except ImportError as error:
            raise ImportError("data=hf_text needs the package datasets: pip install 'seqmodels[hf]'") from error
        try:
            rows = datasets.load_dataset(**where, split=split, streaming=True)
            for number, row in enumerate(rows):
                if not isinstance(row.get(self.column), str):
                    raise ValueError(
                        f"split {split}, document {number}: there is no text under column={self.column!r} "
                        f"(there: {', '.join(row)})"
                    )
                yield row[self.column]
        except (datasets.exceptions.DatasetsError, FileNotFoundError, ConnectionError) as error:
            raise ValueError(f"datasets cannot read {json.dumps(where)}: {error}") from error


def _paths(given: Any) -> list[str]:
    """Return all local paths in ``data_files``, without URLs."""
    if given is None:
        return []
    values = given.values() if isinstance(given, Mapping) else [given] if isinstance(given, str) else given
    nested = [path for value in values for path in ([value] if isinstance(value, str) else value)]
    return [path for path in nested if "://" not in path]


def _matching(path: Path) -> list[Path]:
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
