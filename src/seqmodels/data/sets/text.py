"""Text files of the user, for language models."""

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
"""So many documents are shared out among the splits; of fewer, each is cut."""

Part = tuple[int, int]
"""Characters of a document that belong to a split: from, to."""


@dataclass(kw_only=True)
class TextData(Source):
    """Text files: a file, or a folder of ``.txt``, ``.md`` and ``.jsonl``.

    Where ``val_path`` and ``test_path`` are not given, 5 % of the text are for each of the two. Of 20 documents or more
    they are whole documents, drawn by ``data_seed``; of fewer, the last parts of each document.

    Args:
        path: of the training text, or of all text.
        val_path, test_path: of the other two splits.
        encoding: of the files.
        separator: the line that separates the documents of a file, ``""`` for a blank one; a file is one where not
            given.
        field: what holds the text of a line of JSON.
        data_seed: decides which documents are for training.
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
    """Return what yields the documents of a split, where all splits lie in the same files."""

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
    """Say of each document, of so many characters, which of them belong to which split."""
    if len(sizes) < MANY:
        return [
            {"train": (0, n * 9 // 10), "val": (n * 9 // 10, n * 19 // 20), "test": (n * 19 // 20, n)} for n in sizes
        ]
    twentieth = len(sizes) // 20
    val, test, _ = split_random(len(sizes), (twentieth, twentieth), seed)
    held = dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return [{held.get(index, "train"): (0, size)} for index, size in enumerate(sizes)]


def cut(lines: Iterator[str], first: int, end: int) -> Iterator[str]:
    """Yield what of lines lies between two places, counted in characters."""
    place = 0
    for line in lines:
        if part := line[max(first - place, 0) : max(end - place, 0)]:
            yield part
        place += len(line)
