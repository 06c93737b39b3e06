"""What the rows of a batch consist of: tokens with their texts, or features with their names."""

from collections.abc import Sequence
from typing import Any

from seqmodels.data import Preprocessing
from seqmodels.data.statistics.rows import inputs_of, lengths_of
from seqmodels.data.text.vocabulary import EOS, PAD, Vocabulary, WordVocabulary


def pieces_of(batch: Any, vocabulary: Vocabulary | None) -> list[list[str]]:
    """Return the tokens of each row as texts, without padding; their numbers if there is no vocabulary."""
    rows = zip(inputs_of(batch).tolist(), lengths_of(batch).tolist(), strict=True)
    if vocabulary is None:
        return [[str(token) for token in row[:length]] for row, length in rows]
    shown = {token: piece(vocabulary, token) for token in range(len(vocabulary))}
    return [[shown[token] for token in row[:length]] for row, length in rows]


def piece(vocabulary: Vocabulary, token: int) -> str:
    """Return the text of a single token.

    Example:
        >>> piece(WordVocabulary(["<pad>", "<unk>", "the"]), 2)
        'the'
    """
    name = vocabulary.tokens[token]
    return name if name in (PAD, EOS) else vocabulary.decode([token]) or name


def separator(vocabulary: Vocabulary | None) -> str:
    """Return what stands between the pieces of a text."""
    return " " if vocabulary is None or isinstance(vocabulary, WordVocabulary) else ""


def feature_names(preprocessing: Preprocessing | None, size: int) -> list[str]:
    """Return a name for each of the features of a step: a column, a word of a column, or a number."""
    names = list[str]()
    columns: Sequence[str] = getattr(preprocessing, "columns", ())
    channels: Sequence[str] = getattr(preprocessing, "names", ())
    if channels:  # of sequences in tables, with one input for each word
        words = preprocessing.words  # type: ignore[union-attr]
        for name, values in zip(channels, words, strict=True):
            names += [f"{name}={word}" for word in values] or [name]
    elif columns and all(isinstance(column, str) for column in columns):
        names = [*columns, *getattr(preprocessing, "calendar", ())]
    return [*names, *(f"feature {number}" for number in range(len(names), size))][:size]
