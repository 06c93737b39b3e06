"""Your own text files for language models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from seqmodels.data.formats.text_files import documents, text_files
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import Source
from seqmodels.data.splitting import split_random
from seqmodels.data.text.language_modeling import TokenizedPreparation

MANY = 20
"""Minimum number of documents to split by whole documents; fewer are each cut."""

Part = tuple[int, int]
"""Character range of a document that belongs to a split: start, end."""


@dataclass(kw_only=True)
class TextData(Source):
    """A text file, or a folder of ``.txt``, ``.md`` and ``.jsonl``.

    Without ``val_path`` and ``test_path``, 5 % of the text is used for each: whole documents drawn by ``data_seed`` if
    there are 20 or more, else the end of each document.

    Args:
        path: training text, or all text.
        val_path, test_path: texts of the other two splits.
        encoding: encoding of the files.
        separator: line that separates documents within a file, ``""`` for a blank line; by default, a file is one
            document.
        field: text field of a JSON line.
        data_seed: determines which documents are for training.
    """

    name = "text"
    target_kind = "language_modeling"
    citation = "your own files"
    license = "yours"
    preparation = TokenizedPreparation

    path: str | Path
    val_path: str | Path | None = None
    test_path: str | Path | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    field: str = "text"
    data_seed: int = 0

    def __post_init__(self) -> None:
        if (self.val_path is None) != (self.test_path is None):
            raise ValueError("val_path and test_path must be given together, or neither")
        if "" in (self.path, self.val_path, self.test_path):
            raise ValueError("a path must name a file or a folder, got ''")

    def splits(self) -> Splits[Documents]:
        paths = {"train": self.path, "val": self.val_path, "test": self.test_path}
        files = {split: text_files(Path(path)) for split, path in paths.items() if path is not None}
        options: dict[str, Any] = {"encoding": self.encoding, "separator": self.separator, "field": self.field}
        stamps = [
            [f"{split}:{file.absolute()}", file.stat().st_size, file.stat().st_mtime_ns]
            for split, found in files.items()
            for file in found
        ]
        origin = {"files": stamps, **options, "data_seed": self.data_seed}
        if len(files) > 1:
            read: Any = lambda split: documents(files[split], **options)  # noqa: E731
        else:
            read = _shared(files["train"], options, self.data_seed)
        return Splits(*(Documents(partial(read, split), self.name, origin) for split in Splits._fields))


def _shared(files: list[Path], options: Mapping[str, Any], seed: int) -> Any:
    """Return a reader of the documents of a split when all splits share the same files."""

    @cache
    def parts() -> list[dict[str, Part]]:
        sizes = [sum(map(len, lines)) for lines in documents(files, **options)]
        if not sum(sizes):
            raise ValueError(f"{files[0]}{' and the others' if len(files) > 1 else ''}: there is no text")
        return shared_out(sizes, seed)

    def read(split: str) -> Iterator[Iterator[str]]:
        for lines, part in zip(documents(files, **options), parts(), strict=True):
            if split in part:
                yield cut(lines, *part[split])

    return read


def shared_out(sizes: list[int], seed: int) -> list[dict[str, Part]]:
    """Assign character ranges of each document to splits, given document sizes in characters."""
    if len(sizes) < MANY:
        return [
            {"train": (0, n * 9 // 10), "val": (n * 9 // 10, n * 19 // 20), "test": (n * 19 // 20, n)} for n in sizes
        ]
    twentieth = len(sizes) // 20
    val, test, _ = split_random(len(sizes), (twentieth, twentieth), seed)
    held = dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return [{held.get(index, "train"): (0, size)} for index, size in enumerate(sizes)]


def cut(lines: Iterator[str], first: int, end: int) -> Iterator[str]:
    """Yield the part of the lines between two character offsets."""
    place = 0
    for line in lines:
        if part := line[max(first - place, 0) : max(end - place, 0)]:
            yield part
        place += len(line)
