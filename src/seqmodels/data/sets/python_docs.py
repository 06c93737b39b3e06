"""The reference of the Python language, as every CPython carries it for its ``help()``; no file is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pydoc_data.topics import topics

import torch

from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import Source
from seqmodels.data.text.language_modeling import InMemoryPreparation
from seqmodels.data.text.text_preprocessing import TextPreprocessing
from seqmodels.data.text.vocabulary_learning import CharacterLearner

SHARES = {"val": 0.08, "test": 0.08}  # of all characters; the rest trains


@dataclass(kw_only=True)
class DocumentPreparation(InMemoryPreparation):
    """Documents by their characters, with ``<eos>`` at their edges."""

    def fit(self, texts: Sequence[str]) -> TextPreprocessing:
        vocabulary = CharacterLearner(eos=True).learn(texts)
        assert vocabulary.eos is not None
        return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.eos, ends=True)


@dataclass(kw_only=True)
class PythonDocsData(Source):
    """Topics, ``help("for")`` for example, by characters: each a document that belongs to one split whole.

    Many topics are parts of longer ones. What stands in a longer topic is left out, so that no two splits share a
    paragraph. The text is that of the Python that runs: another minor version has another text, and other figures. In
    3.11 there are 57 documents of 371 thousand characters, of which validation and test have 8 % each.

    Args:
        data_seed: decides which topics go where.
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
    """Return texts without the paragraphs that a longer one has, and without those of which less than half is left."""
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
    """Split texts by whole topics, drawn in an order that depends on their names and the seed alone.

    A topic goes to validation or test where there is room for it, else it trains.
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
