"""Conversion between text and the tokens of a language model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.collate import pad
from seqmodels.data.preprocessing import Preprocessing
from seqmodels.data.text.vocabulary import PAD, REPLACEMENT, UNK, Vocabulary, WordVocabulary
from seqmodels.data.text.windows import IGNORE, TextWindow
from seqmodels.system.names import public_name

CONTEXT = 16
"""Number of preceding tokens decoded with a new one: the range over which they may affect its text."""


@dataclass(kw_only=True, eq=False)
class TextPreprocessing(Preprocessing):
    """Tokenisation by a vocabulary, of documents or a single stream.

    Args:
        vocabulary: encodes and decodes texts.
        start: token that precedes a text: the document edge, or one after which training text plausibly continues, e.g.
            a line end.
        ends: whether that token also ends a document.
        line_ends: encode line ends as ``<eos>``, since word vocabularies have no other token for them.
    """

    vocabulary: Vocabulary
    start: int
    ends: bool
    line_ends: bool = False

    def __post_init__(self) -> None:
        size = len(self.vocabulary)
        if not 0 <= self.start < size:
            raise ValueError(f"start must be a token of the vocabulary, 0 to {size - 1}, got {self.start}")
        if self.line_ends and self.vocabulary.eos is None:
            raise ValueError("line_ends needs a vocabulary with a token <eos>")

    @property
    def node(self) -> dict[str, Any]:
        """The configuration that rebuilds it, as plain JSON."""
        return {
            "_target_": public_name(type(self)),
            "vocabulary": self.vocabulary.node,
            "start": self.start,
            "ends": self.ends,
            "line_ends": self.line_ends,
        }

    @property
    def edge(self) -> int | None:
        """The token between documents, if there is one."""
        return self.start if self.ends else None

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        if not self.line_ends:
            return self.vocabulary.encode(text)
        assert self.vocabulary.eos is not None
        first, *lines = text.split("\n")
        found = self.vocabulary.encode(first)
        for line in lines:
            found.append(self.vocabulary.eos)
            found += self.vocabulary.encode(line)
        return found

    @cached_property
    def characters(self) -> NDArray[np.int64]:
        """Number of text characters per token, ``(vocab,)``.

        A word includes the space after it; an edge counts 0, as does a character whose bytes are split over tokens.
        """
        vocabulary = self.vocabulary
        counts = [len(vocabulary.decode([token]).replace(REPLACEMENT, "")) for token in range(len(vocabulary))]
        if isinstance(vocabulary, WordVocabulary):
            counts = [count + 1 for count in counts]
        for name, token in vocabulary.specials.items():
            counts[token] = 1 if name == UNK or (self.line_ends and name != PAD) else 0
        return np.array(counts, np.int64)

    def prompt(self, text: str) -> Tensor:
        """Return the tokens a model reads before generating, ``(time,)``; for an empty text, the start token."""
        tokens = self.tokens(text)
        return torch.tensor([self.start, *tokens] if self.ends or not tokens else tokens)

    def written(self, tokens: Iterable[int], before: Sequence[int] = ()) -> Iterator[str]:
        """Yield the text each token adds after ``before``, holding back incomplete UTF-8 sequences."""
        held = list(before)[-CONTEXT:]
        done = len(self.vocabulary.decode(held))
        text = ""
        for token in tokens:
            held.append(token)
            text = self.vocabulary.decode(held)
            if text.endswith(REPLACEMENT) and len(held) < 2 * CONTEXT and token != self.vocabulary.unknown:
                continue
            yield text[done:]
            held = held[-CONTEXT:]
            text = self.vocabulary.decode(held)
            done = len(text)
        yield text[done:]

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the tokens of a record's field ``text``, with the start token and, if any, the end token."""
        text = record.get("text")
        if not isinstance(text, str):
            raise ValueError(f"a record must have a text under 'text', got {text!r}")
        ending = [self.start] if self.ends else []
        tokens = [self.start, *self.tokens(text), *ending]
        if len(tokens) < 2:
            raise ValueError("text: must hold at least one token, got none")
        return torch.tensor(tokens)

    def collate(self, values: Sequence[Tensor]) -> TextWindow:
        """Collate texts as fresh rows, with every token but the first as a target."""
        inputs, lengths = pad([value[:-1] for value in values])
        targets = torch.full_like(inputs, IGNORE)
        for row, value in enumerate(values):
            targets[row, : len(value) - 1] = value[1:]
        characters = int(self.characters[targets[targets != IGNORE].numpy()].sum())
        return TextWindow(inputs, lengths, targets, torch.ones(len(values), dtype=torch.bool), characters, 1.0)
