"""Tagged sentences, before any preparation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from seqmodels.data.formats.records import Record, readable
from seqmodels.data.formats.tagged.layout import TagLayout
from seqmodels.data.splitting import split_stratified


class TaggedSentences(NamedTuple):
    """Sentences with a tag for each token, and their locations for messages: ``"train.conllu, line 3"``."""

    tokens: list[list[str]]
    tags: list[list[str]]
    places: list[str]
    layout: TagLayout | None = None  # how the file was written; None if the sentences are not from a file of one's own

    @classmethod
    def of(cls, records: Iterable[Record], layout: TagLayout | None = None) -> "TaggedSentences":
        """Collect the ``tokens`` and ``tags`` of records.

        Raises:
            ValueError: a record cannot be read, has no tokens or not one tag for each; the message has its location.

        Example:
            >>> TaggedSentences.of([Record("a.conll, line 1", {"tokens": ["Go"], "tags": ["VERB"]})]).tags
            [['VERB']]
        """
        found = cls([], [], [], layout)
        for place, fields, _ in readable(records):
            try:
                tokens = tokens_of(fields)
                tags = _tags_of(fields, tokens)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
            found.tokens.append(tokens)
            found.tags.append(tags)
            found.places.append(place)
        return found

    def take(self, rows: Sequence[int]) -> "TaggedSentences":
        """Select sentences."""
        return self._replace(
            tokens=[self.tokens[row] for row in rows],
            tags=[self.tags[row] for row in rows],
            places=[self.places[row] for row in rows],
        )

    def split(self, shares: Sequence[float], seed: int) -> list["TaggedSentences"]:
        """Split at random.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        groups = torch.zeros(len(self.tokens), dtype=torch.long)
        return [self.take(rows.tolist()) for rows in split_stratified(groups, shares, seed)]

    def token_places(self) -> Iterator[str]:
        """Yield the location of each token of all sentences, for messages."""
        for place, tokens in zip(self.places, self.tokens, strict=True):
            yield from (f"{place}, token {number} {token!r}" for number, token in enumerate(tokens, start=1))


def tokens_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the field ``tokens`` of a record.

    Raises:
        ValueError: it is missing or no list of texts that are not empty.
    """
    if "tokens" not in fields:
        raise ValueError(f"there is no field 'tokens', a list of texts; the record has {', '.join(fields) or 'none'}")
    tokens = _texts(fields["tokens"], "tokens")
    if not tokens:
        raise ValueError("tokens: there is no token to read, got []")
    return tokens


def _tags_of(fields: Mapping[str, Any], tokens: Sequence[str]) -> list[str]:
    if "tags" not in fields:
        raise ValueError("there is not a tag for each token: a column of tags (data.tag) or a field 'tags' is needed")
    tags = _texts(fields["tags"], "tags")
    if len(tags) != len(tokens):
        raise ValueError(f"there must be a tag for each token, got {len(tags)} tags for {len(tokens)} tokens")
    return tags


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list of texts, got {value!r:.100}")
    for number, text in enumerate(value, start=1):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} must be a list of texts that are not empty, number {number} is {text!r:.100}")
    return value
