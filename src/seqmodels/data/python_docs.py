"""The reference of the Python language, as every CPython carries it for its ``help()``; no file is needed."""

from collections.abc import Mapping
from pydoc_data.topics import topics

import torch

from seqmodels.data.corpus import Corpus, corpus_of
from seqmodels.data.language_modeling import LanguageModelingData
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.vocabulary_learning import CharacterLearner

SHARES = {"val": 0.08, "test": 0.08}  # of all characters; the rest trains


class PythonDocsData(LanguageModelingData):
    """Topics, ``help("for")`` for example, by characters: each a document that belongs to one split whole.

    Many topics are parts of longer ones. What stands in a longer topic is left out, so that no two splits share a
    paragraph. The text is that of the Python that runs: another minor version has another text, and other figures. In
    3.11 there are 57 documents of 371 thousand characters, of which validation and test have 8 % each.

    Args:
        data_seed: decides which topics go where.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    name = "python_docs"
    citation = "Python Software Foundation. The Python language reference. https://docs.python.org/reference"
    license = "PSF License Agreement"

    def __init__(
        self,
        *,
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
        self.data_seed = data_seed

    def splits(self) -> Mapping[str, Corpus]:
        parts = split_topics(without_repetitions(topics), self.data_seed)
        vocabulary = CharacterLearner(eos=True).learn(parts["train"])
        assert vocabulary.eos is not None
        self.text = TextPreprocessing(vocabulary=vocabulary, start=vocabulary.eos, ends=True)
        return {
            name: corpus_of(map(vocabulary.encode, texts), len(vocabulary), self.text.edge)
            for name, texts in parts.items()
        }


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
    """Part texts by whole topics, drawn in an order that hangs on their names and the seed alone.

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
