"""A million characters of Shakespeare's plays, the usual first exercise for language models."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import Documents, Splits
from seqmodels.data.source import PublishedSource
from seqmodels.data.text.language_modeling import InMemoryPreparation, by_characters
from seqmodels.data.text.text_preprocessing import TextPreprocessing

TEXT = DataFile(
    "input.txt",
    1115394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
)


@dataclass(kw_only=True)
class CharacterPreparation(InMemoryPreparation):
    """A single text as characters, with a token for unknown ones."""

    def fit(self, texts: Sequence[str]) -> TextPreprocessing:
        (text,) = texts
        return by_characters(text)


class TinyShakespeareData(PublishedSource):
    """1115394 characters, 65 different ones: the first 90 % for training, the rest for validation.

    There is also a token for unknown characters. By convention, the test split equals the validation split."""

    name = "tiny_shakespeare"
    target_kind = "language_modeling"
    folder = "tinyshakespeare"
    files = (TEXT,)
    citation = (
        "A. Karpathy. The unreasonable effectiveness of recurrent neural networks. 2015. "
        "https://github.com/karpathy/char-rnn"
    )
    license = "public domain"
    preparation = CharacterPreparation

    def splits(self) -> Splits[Documents]:
        text = decoded(load(self.set_folder, TEXT), TEXT.name)
        cut = int(0.9 * len(text))
        held = Documents.of([text[cut:]])
        return Splits(Documents.of([text[:cut]]), held, held)
