"""The Python language reference bundled with CPython for ``help()``; needs no files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pydoc_data.topics import topics

import torch

from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import Source
from seqmodels.data.text.language_modeling import InMemoryPreparation
from seqmodels.data.text.text_preprocessing import TextPreprocessing
from seqmodels.data.text.vocabulary_learning import CharacterLearner

SHARES = {"val": 0.08, "test": 0.08}  # of all characters; the rest is for training


@dataclass(kw_only=True)
class DocumentPreparation(InMemoryPreparation):
    """Documents as characters, delimited by ``<eos>``."""

    def fit(self, texts: Sequence[str]) -> TextPreprocessing:
        vocabulary = CharacterLearner(eos=True).learn(texts)
        assert vocabulary.eos is not None
        return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.eos, ends=True)


@dataclass(kw_only=True)
class PythonDocsData(Source):
    """Help topics, e.g. ``help("for")``, as characters; each topic is a document, entirely in one split.

    Many topics are parts of longer ones. Paragraphs found in a longer topic are dropped, so that no two splits share
    one. The text is that of the running Python: other minor versions have other texts and results. In 3.11, there are
    57 documents of 371 thousand characters, with 8 % each for validation and test.

    Args:
        data_seed: determines the split of topics.
    """

    name = "python_docs"
    target_kind = "language_modeling"
    citation = "Python Software Foundation. The Python language reference. https://docs.python.org/reference"
    license = "PSF License Agreement"
    preparation = DocumentPreparation

    data_seed: int = 0

    def splits(self) -> Splits[Documents]:
        parts = split_topics(without_repetitions(topics), self.data_seed)
        return Splits(**{name: Documents.of(texts) for name, texts in parts.items()})


def without_repetitions(texts: Mapping[str, str]) -> dict[str, str]:
    """Drop paragraphs found in a longer text, and texts of which less than half is left."""
    seen: set[str] = set()
    kept = {}
    for name in sorted(texts, key=lambda name: (-len(texts[name]), name)):
        paragraphs = {" ".join(paragraph.split()): paragraph for paragraph in texts[name].split("\n\n")}
        new = "\n\n".join(paragraph for words, paragraph in paragraphs.items() if words not in seen)
        seen |= paragraphs.keys()
        if 2 * len(new) > len(texts[name]):
            kept[name] = new
    return kept


def split_topics(texts: Mapping[str, str], seed: int) -> dict[str, list[str]]:
    """Split texts by whole topics, in an order determined by their names and the seed alone.

    A topic goes to validation or test if there is room for it, else to training.
    """
    names = sorted(texts)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    total = sum(map(len, texts.values()))
    room = {name: int(share * total) for name, share in SHARES.items()}
    parts: dict[str, list[str]] = {"train": [], **{name: [] for name in room}}
    for index in order:
        text = texts[names[index]]
        part = next((name for name, left in room.items() if len(text) <= left), "train")
        parts[part].append(text)
        if part in room:
            room[part] -= len(text)
    return parts
