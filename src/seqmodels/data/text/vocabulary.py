"""Vocabularies, which encode and decode texts. All are plain JSON, learnt from training texts only.

The first tokens may be special: ``<pad>`` (always 0), ``<unk>`` for unknown tokens, ``<eos>`` for line or document
ends. Text is never parsed as one of them, except for ``<unk>`` in word vocabularies.
"""

import functools
import re
import sys
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

from seqmodels.system.names import public_name

Normalization = Literal["NFC", "NFD", "NFKC", "NFKD", "ASCII"]
"""Unicode normal forms; ``ASCII``: NFKD restricted to ASCII, which strips diacritics and drops other characters."""
Splitting = Literal["words", "spaces"]

PAD, UNK, EOS = "<pad>", "<unk>", "<eos>"
SPECIAL = (PAD, UNK, EOS)
REPLACEMENT = "\ufffd"  # shown for unknown characters


@dataclass(repr=False, eq=False)
class Vocabulary(ABC):
    """Mapping between tokens and their numbers.

    Args:
        tokens: all tokens, special ones first.
        normalization: Unicode normal form applied to texts; none if None.
        lowercase: whether to lowercase texts.

    Raises:
        ValueError: a token occurs twice, or ``<pad>`` is not the first.
    """

    tokens: Sequence[str]
    _: KW_ONLY
    normalization: Normalization | None = "NFC"
    lowercase: bool = False

    def __post_init__(self) -> None:
        check_normalization(self.normalization)
        self.tokens = tuple(self.tokens)
        specials = [token for token in self.tokens[: len(SPECIAL)] if token in SPECIAL]
        if tuple(specials) != self.tokens[: len(specials)] or (PAD in specials and specials[0] != PAD):
            raise ValueError(f"special tokens must come first, and {PAD} before all, got {list(self.tokens[:4])}")
        self.specials = {token: index for index, token in enumerate(specials)}
        if len(set(self.tokens)) < len(self.tokens):
            ((twice, _),) = Counter(self.tokens).most_common(1)
            raise ValueError(f"tokens must differ, got {twice!r} twice")

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self.tokens[:8])) + (", ..." if len(self) > 8 else "")
        return f"{type(self).__name__}({len(self)} tokens: {first})"

    @property
    def unknown(self) -> int | None:
        """The unknown token, if there is one."""
        return self.specials.get(UNK)

    @property
    def eos(self) -> int | None:
        """The end-of-line or end-of-document token, if there is one."""
        return self.specials.get(EOS)

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds the vocabulary: ``_target_`` and constructor keywords, as plain JSON."""
        options = {"normalization": self.normalization, "lowercase": self.lowercase}
        return {"_target_": public_name(type(self)), "tokens": list(self.tokens), **options}

    def normalize(self, text: str) -> str:
        """Return a text as normalised by the vocabulary."""
        return normalize(text, self.normalization, self.lowercase)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; never ``<pad>`` or ``<eos>``."""

    def pieces(self, text: str) -> list[str]:
        """Return the parts of a text that its tokens stand for, also those that are not in the vocabulary."""
        return [self.tokens[token] for token in self.encode(text)]

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of tokens; ``<pad>`` is skipped, and ``<eos>`` becomes a line end."""


class CharacterVocabulary(Vocabulary):
    """Each character (Unicode code point) is a token; ``decode(encode(text)) == normalize(text)`` if all are known.

    Unknown characters become ``<unk>`` and decode to U+FFFD.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._index, self._unknown = _index_of(self)
        self._shown = [{PAD: "", UNK: REPLACEMENT, EOS: "\n"}.get(token, token) for token in self.tokens]
        long = [token for token in self._index if len(token) != 1]
        if long:
            raise ValueError(f"tokens must be single characters, got {long[0]!r}")

    def encode(self, text: str) -> list[int]:
        index, unknown = self._index, self._unknown
        return [index.get(character, unknown) for character in self.normalize(text)]

    def pieces(self, text: str) -> list[str]:
        return list(self.normalize(text))

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self._shown[token] for token in ids)


@dataclass(kw_only=True, repr=False, eq=False)
class WordVocabulary(Vocabulary):
    """Each word is a token; unknown words become ``<unk>``.

    Decoding joins words with single spaces: ``decode(encode(text)) == " ".join(split(text))`` if all are known.

    Args:
        tokens, normalization, lowercase: as for all.
        splitting: ``words``: runs of letters, digits and marks with single inner apostrophes, and any other non-space
            character as its own word; ``spaces``: split at white space, for pre-tokenised texts.
    """

    lowercase: bool = True
    splitting: Splitting = "words"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_splitting(self.splitting)
        self._index, self._unknown = _index_of(self)

    @property
    def node(self) -> dict[str, Any]:
        return {**super().node, "splitting": self.splitting}

    def split(self, text: str) -> list[str]:
        """Return the words of a text, normalised."""
        return split_words(self.normalize(text), self.splitting)

    def encode(self, text: str) -> list[int]:
        index, unknown = self._index, self._unknown
        return [index.get(word, unknown) for word in self.split(text)]

    def pieces(self, text: str) -> list[str]:
        return self.split(text)

    def decode(self, ids: Iterable[int]) -> str:
        words = (self.tokens[token] for token in ids)
        text = " ".join("\n" if word == EOS else word for word in words if word != PAD)
        return re.sub(" ?\n ?", "\n", text)


def normalize(text: str, form: Normalization | None, lowercase: bool) -> str:
    """Apply a normal form and lowercasing, if requested; lone surrogates become U+FFFD.

    Line ends, byte order marks, NUL and zero-width characters are unchanged.
    """
    if text.isascii():
        return text.lower() if lowercase else text
    text = re.sub("[\ud800-\udfff]", REPLACEMENT, text)
    text = _in_form(text, form)
    return _in_form(text.lower(), form) if lowercase else text


def _in_form(text: str, form: Normalization | None) -> str:
    if form == "ASCII":
        return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return text if form is None else unicodedata.normalize(form, text)


def split_words(text: str, splitting: Splitting) -> list[str]:
    """Return the words of a text, see :class:`WordVocabulary`."""
    if splitting == "spaces":
        return text.split()
    return (ASCII_WORD if text.isascii() else _any_word()).findall(text)


ASCII_WORD = re.compile(r"\w+(?:'\w+)*|[^\s\w\x1c-\x1f]", re.ASCII)  # same as _any_word on ASCII text, in half the time


@functools.cache
def _any_word() -> re.Pattern[str]:
    # Python's \w excludes combining marks and joiners, which would break up words of many scripts.
    marks = [chr(c) for c in range(0x300, sys.maxunicode) if unicodedata.category(chr(c))[0] == "M"]
    near, far = ("".join(c for c in marks if (c > "\uffff") == beyond) for beyond in (False, True))
    # Python searches a set from end to end for what lies beyond U+FFFF: not at every character
    letter = rf"(?:[\w{near}\u200c\u200d]|(?=[\U00010000-\U0010ffff])[{far}])"
    return re.compile(rf"{letter}+(?:['\u2019]{letter}+)*|[^\s]")


def check_normalization(form: str | None) -> None:
    """Raise ``ValueError`` for an unknown normal form."""
    if form is not None and form not in get_args(Normalization):
        raise ValueError(f"normalization must be one of {', '.join(get_args(Normalization))} or null, got {form!r}")


def check_splitting(splitting: str) -> None:
    """Raise ``ValueError`` for an unknown splitting."""
    if splitting not in get_args(Splitting):
        raise ValueError(f"splitting must be one of {', '.join(get_args(Splitting))}, got {splitting!r}")


def _index_of(vocabulary: Vocabulary) -> tuple[dict[str, int], int]:
    """Return the number of each token that can occur in texts, and that of ``<unk>``."""
    if vocabulary.unknown is None:
        raise ValueError(f"tokens must have {UNK} for what is unknown, got {list(vocabulary.tokens[:3])} first")
    index = {token: number for number, token in enumerate(vocabulary.tokens) if token not in vocabulary.specials}
    return index, vocabulary.unknown
