"""Plays of Shakespeare in one text of a million characters, the usual first exercise of language models."""

from collections.abc import Mapping
from typing import ClassVar

from seqmodels.data.corpus import Corpus, corpus_of
from seqmodels.data.files import DataFile, load
from seqmodels.data.published_text import PublishedTextData
from seqmodels.data.strict_text import decoded
from seqmodels.data.text_preprocessing import TextPreprocessing
from seqmodels.data.vocabulary import UNK, CharacterVocabulary

TEXT = DataFile(
    "input.txt",
    1115394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
)


class TinyShakespeareData(PublishedTextData):
    """1115394 characters, 65 different ones: the first 90 % for training, the rest for validation.

    There is a token for what is unknown as well. As is the custom, there is no third part: the test is the validation
    once more, and models are compared by it. Options as in
    :class:`~seqmodels.data.published_text.PublishedTextData`.
    """

    name = "tiny_shakespeare"
    folder = "tinyshakespeare"
    files: ClassVar[tuple[DataFile, ...]] = (TEXT,)
    citation = (
        "A. Karpathy. The unreasonable effectiveness of recurrent neural networks. 2015. "
        "https://github.com/karpathy/char-rnn"
    )
    license = "public domain"

    def splits(self) -> Mapping[str, Corpus]:
        text = decoded(load(self.path, TEXT), TEXT.name)
        cut = int(0.9 * len(text))
        vocabulary = CharacterVocabulary([UNK, *sorted(set(text[:cut]))], normalization=None)
        self.text = TextPreprocessing(vocabulary=vocabulary, start=vocabulary.tokens.index("\n"), ends=False)
        train, val = (corpus_of([vocabulary.encode(part)], len(vocabulary), None) for part in (text[:cut], text[cut:]))
        return {"train": train, "val": val, "test": val}
