"""Your own text files for language models."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from seqmodels.data.formats.strict_text import check_encoding
from seqmodels.data.formats.text_files import DocumentFormat, Unit, text_files
from seqmodels.data.formats.text_files import documents as read_documents
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import Source
from seqmodels.data.splitting import split_random
from seqmodels.data.text.language_modeling import TokenizedPreparation

MANY = 20
"""Minimum number of documents to split by whole documents; fewer are each cut."""

HELD = 20
"""One in this many documents or characters is for each split that has no path."""

Part = tuple[int, int]
"""Character range of a document that belongs to a split: start, end."""


@dataclass(kw_only=True)
class TextData(Source):
    """A text file, or a folder of ``.txt``, ``.md`` and ``.jsonl``, plain or ``.gz``.

    Without ``val_path``, 5 % of the text is used for validation, and without both paths another 5 % for testing: whole
    documents drawn by ``data_seed`` if there are 20 or more, else the end of each document. With ``val_path`` alone,
    there is no test split.

    Args:
        path: training text, or all text.
        val_path, test_path: texts of the other two splits.
        encoding: encoding of the files.
        documents: what a document is: a ``file``, or each ``line``; blank lines are then skipped.
        separator: line that separates documents within a file, ``""`` for a blank line.
        field: text field of a JSON line, which is always a document.
        data_seed: determines which documents are for training.

    Raises:
        ValueError: an option is not among its choices.
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
    documents: Unit = "file"
    separator: str | None = None
    field: str = "text"
    data_seed: int = 0

    def __post_init__(self) -> None:
        if "" in (self.path, self.val_path, self.test_path):
            raise ValueError("a path must name a file or a folder, got ''")
        check_encoding(self.encoding)
        self._form.checked()

    @property
    def _form(self) -> DocumentFormat:
        return DocumentFormat(self.documents, self.separator, self.field, self.encoding)

    def splits(self) -> Splits[Documents]:
        paths = {"train": self.path, "val": self.val_path, "test": self.test_path}
        files = {split: text_files(Path(path)) for split, path in paths.items() if path is not None}
        stamps = [
            [f"{split}:{file.absolute()}", file.stat().st_size, file.stat().st_mtime_ns]
            for split, found in files.items()
            for file in found
        ]
        form = self._form
        origin = {"files": stamps, **form._asdict(), "data_seed": self.data_seed}
        drawn = [] if self.val_path is not None else ["val"] if self.test_path is not None else ["val", "test"]
        readers = {split: partial(read_documents, found, form) for split, found in files.items()}
        if drawn:
            shared = _shared(files["train"], form, drawn, self.data_seed)
            readers |= {split: partial(shared, split) for split in ("train", *drawn)}
        return Splits(**{split: Documents(read, self.name, origin, form=form) for split, read in readers.items()})


def _shared(files: list[Path], form: DocumentFormat, drawn: list[str], seed: int) -> Any:
    """Return a reader of the documents of a split when the splits ``drawn`` share their files with training."""

    @cache
    def parts() -> list[dict[str, Part]]:
        sizes = [sum(map(len, lines)) for lines in read_documents(files, form)]
        if not sum(sizes):
            raise ValueError(f"{files[0]}{' and the others' if len(files) > 1 else ''}: there is no text")
        return shared_out(sizes, drawn, seed)

    def read(split: str) -> Iterator[Iterator[str]]:
        for lines, part in zip(read_documents(files, form), parts(), strict=True):
            if split in part:
                yield cut(lines, *part[split])

    return read


def shared_out(sizes: list[int], drawn: list[str], seed: int) -> list[dict[str, Part]]:
    """Assign character ranges of each document to training and the splits ``drawn``, given sizes in characters."""
    if len(sizes) < MANY:
        return [_cut_at_the_end(size, drawn) for size in sizes]
    held = split_random(len(sizes), [len(sizes) // HELD] * len(drawn), seed)
    names = {index: name for name, part in zip(drawn, held, strict=False) for index in part}
    return [{names.get(index, "train"): (0, size)} for index, size in enumerate(sizes)]


def _cut_at_the_end(size: int, drawn: list[str]) -> dict[str, Part]:
    ends = [size * (HELD - len(drawn) + place) // HELD for place in range(len(drawn) + 1)]
    return dict(zip(("train", *drawn), zip((0, *ends), ends, strict=False), strict=True))


def cut(lines: Iterator[str], first: int, end: int) -> Iterator[str]:
    """Yield the part of the lines between two character offsets."""
    place = 0
    for line in lines:
        if part := line[max(first - place, 0) : max(end - place, 0)]:
            yield part
        place += len(line)
