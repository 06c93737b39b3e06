"""Text of one's own."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from seqmodels.data.corpus import Corpus
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.text_files import documents, text_files
from seqmodels.data.tokenized import TextSource, tokenized
from seqmodels.data.vocabulary_learning import VocabularyLearner

MANY = 20
"""So many documents are shared out among the splits; of fewer, each is cut."""

Part = tuple[int, int]
"""Characters of a document that belong to a split: from, to."""


class TextData(LanguageModelingData):
    """Text files: a file, or a folder of ``.txt``, ``.md`` and ``.jsonl``.

    Where ``val_path`` and ``test_path`` are not given, 5 % of the text are for each of the two. Of 20 documents or more
    they are whole documents, drawn by ``data_seed``; of fewer, the last parts of each document.

    Args:
        path: of the training text, or of all text.
        val_path, test_path: of the other two splits.
        vocabulary: learns the vocabulary from the training text. A token ``<eos>`` for the edges of documents is added
            where it has none; with a vocabulary of words it stands for the end of a line, too.
        encoding: of the files.
        separator: the line that parts the documents of a file, ``""`` for a blank one; a file is one where not given.
        field: what holds the text of a line of JSON.
        cache_dir: where tokens are kept; the user's cache folder where not given.
        data_seed: decides which documents are for training.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    name = "text"
    citation = "your own files"
    license = "yours"

    def __init__(
        self,
        path: str | Path,
        vocabulary: VocabularyLearner,
        *,
        val_path: str | Path | None = None,
        test_path: str | Path | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        field: str = "text",
        cache_dir: str | Path | None = None,
        data_seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            bptt=bptt,
            random_windows=random_windows,
            seed=seed,
        )
        if (val_path is None) != (test_path is None):
            raise ValueError("val_path and test_path must be given together, or neither")
        paths = {"train": path, "val": val_path, "test": test_path}
        self.paths = {split: Path(given) for split, given in paths.items() if given is not None}
        self.vocabulary = vocabulary
        self.options = {"encoding": encoding, "separator": separator, "field": field}
        self.cache_dir = cache_dir
        self.data_seed = data_seed

    def splits(self) -> Mapping[str, Corpus]:
        source = OwnText(self.paths, self.options, self.data_seed)
        self.text, corpora = tokenized(source, self.vocabulary, self.cache_dir)
        return corpora


class OwnText(TextSource):
    """The documents of text files, and what of them belongs to which split."""

    name = "text"

    def __init__(self, paths: Mapping[str, Path], options: Mapping[str, Any], data_seed: int) -> None:
        self.files = {split: text_files(path) for split, path in paths.items()}
        self.options = dict(options)
        self.data_seed = data_seed
        self._parts: list[dict[str, Part]] | None = None

    @property
    def origin(self) -> dict[str, Any]:
        stamps = [
            [f"{split}:{file.absolute()}", file.stat().st_size, file.stat().st_mtime_ns]
            for split, files in self.files.items()
            for file in files
        ]
        return {"files": stamps, **self.options, "data_seed": self.data_seed}

    def documents(self, split: str) -> Iterator[Iterator[str]]:
        if len(self.files) > 1:
            yield from documents(self.files[split], **self.options)
            return
        if self._parts is None:
            files = self.files["train"]
            sizes = [sum(map(len, lines)) for lines in documents(files, **self.options)]
            if not sum(sizes):
                raise ValueError(f"{files[0]}{' and the others' if len(files) > 1 else ''}: there is no text")
            self._parts = shared_out(sizes, self.data_seed)
        for lines, parts in zip(documents(self.files["train"], **self.options), self._parts, strict=True):
            if split in parts:
                yield cut(lines, *parts[split])


def shared_out(sizes: list[int], seed: int) -> list[dict[str, Part]]:
    """Say of each document, of so many characters, which of them belong to which split."""
    few = len(sizes) < MANY
    if few:
        return [
            {"train": (0, n * 9 // 10), "val": (n * 9 // 10, n * 19 // 20), "test": (n * 19 // 20, n)} for n in sizes
        ]
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed)).tolist()
    twentieth = len(sizes) // 20
    held = dict.fromkeys(order[:twentieth], "val") | dict.fromkeys(order[twentieth : 2 * twentieth], "test")
    return [{held.get(index, "train"): (0, size)} for index, size in enumerate(sizes)]


def cut(lines: Iterator[str], first: int, end: int) -> Iterator[str]:
    """Yield what of lines lies between two places, counted in characters."""
    place = 0
    for line in lines:
        if part := line[max(first - place, 0) : max(end - place, 0)]:
            yield part
        place += len(line)
