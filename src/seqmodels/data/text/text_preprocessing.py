"""Conversion between text and the tokens of a language model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqmodels.data.collate import pad
from seqmodels.data.formats.records import Record, readable
from seqmodels.data.formats.suffixes import format_of
from seqmodels.data.formats.text_files import (
    DocumentFormat,
    FileFields,
    is_json_lines,
    lines_of,
    split_documents,
    text_files,
)
from seqmodels.data.preprocessing import Example, Preprocessing
from seqmodels.data.text.corpus import Corpus, Counts, corpus_of
from seqmodels.data.text.vocabulary import REPLACEMENT, Vocabulary
from seqmodels.data.text.windowed import TokenCounts, WindowedText
from seqmodels.data.text.windows import IGNORE, READ, TextWindow

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
        space: character that stands for spaces; the spaces around lines are then dropped.
        documents: how text files hold documents, the fields of a ``DocumentFormat``.
    """

    vocabulary: Vocabulary
    start: int
    ends: bool
    line_ends: bool = False
    space: str | None = None
    documents: Mapping[str, Any] = field(default_factory=DocumentFormat()._asdict)

    def __post_init__(self) -> None:
        self.form = DocumentFormat(**self.documents)
        size = len(self.vocabulary)
        if not 0 <= self.start < size:
            raise ValueError(f"start must be a token of the vocabulary, 0 to {size - 1}, got {self.start}")
        if self.line_ends and self.vocabulary.eos is None:
            raise ValueError("line_ends needs a vocabulary with a token <eos>")

    @property
    def edge(self) -> int | None:
        """The token between documents, if there is one."""
        return self.start if self.ends else None

    @property
    def end(self) -> int | None:
        """The token that ends a generated text: the edge, unless it is also that of line ends within documents."""
        return None if self.line_ends and self.form.unit == "file" else self.edge

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        text = with_space(text, self.space)
        if not self.line_ends:
            return self.vocabulary.encode(text)
        assert self.vocabulary.eos is not None
        first, *lines = text.split("\n")
        found = self.vocabulary.encode(first)
        for line in lines:
            found.append(self.vocabulary.eos)
            found += self.vocabulary.encode(line)
        return found

    def corpus(self, texts: Iterable[str], *, from_start: bool = False) -> Corpus:
        """Return texts as a corpus in memory; ``from_start``: the start token precedes a single stream.

        Raises:
            ValueError: no texts, or several of a single stream.
        """
        tokenizer = CountingTokenizer(self)
        start = [self.start] if from_start and not self.ends else []
        documents = ([*start, *tokenizer(text)] for text in texts)
        return corpus_of(documents, len(self.vocabulary), self.edge)._replace(counts=tokenizer.counts)

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

    def read(self, path: str, format: str | None = None) -> Iterator[Record]:
        """Yield the documents of a text file or folder as in training, or the records of a table or of JSON lines."""
        folder = Path(path) if Path(path).is_dir() else None
        if folder is None and format_of(path, format) != "text":
            yield from super().read(path, format)
            return
        for file in [path] if folder is None else map(str, text_files(folder)):
            json = is_json_lines(Path(file))
            for place, lines in split_documents(lines_of(file, self.form.encoding), file, self.form, json=json):
                fields = FileFields() if self.form.unit == "file" and not json else dict[str, Any]()
                if folder is not None or isinstance(fields, FileFields):
                    fields["file"] = file if folder is None else str(Path(file).relative_to(folder))
                fields["text"] = "".join(lines)
                yield Record(place, fields)

    def examples(self, records: Iterable[Record]) -> Iterator[Example]:
        """Yield the examples to predict, in order, and log the share of unknown tokens after the last."""
        documents = tokens = unknown = 0
        for example in super().examples(records):
            if example.value is not None:
                documents, tokens = documents + 1, tokens + len(example.value) - 1
                unknown += int((example.value[1:] == self.vocabulary.unknown).sum())
            yield example
        TokenCounts(documents, tokens, unknown).say("input")

    def encode(self, record: Mapping[str, Any]) -> Tensor:
        """Return the tokens of a record's text, with the start token and, if any, the end token."""
        text = self._text(record)
        ending = [self.start] if self.ends else []
        tokens = [self.start, *self.tokens(text), *ending]
        if len(tokens) < 2:
            raise ValueError("text: must hold at least one token, got none")
        return torch.tensor(tokens)

    def _text(self, record: Mapping[str, Any]) -> str:
        name = self.form.field if self.form.field in record else "text"
        text = record.get(name)
        if not isinstance(text, str):
            raise ValueError(f"a record must have a text under {self.form.field!r}, got {text!r}")
        if self.form.unit == "line" and not text.strip():
            raise ValueError("text: the line is blank")
        return text

    def collate(self, values: Sequence[Tensor]) -> TextWindow:
        """Collate texts as fresh rows, with every token but the first as a target."""
        inputs, lengths = pad([value[:-1] for value in values])
        targets = torch.full_like(inputs, IGNORE)
        for row, value in enumerate(values):
            targets[row, : len(value) - 1] = value[1:]
        fresh, places = torch.ones(len(values), dtype=torch.bool), (targets != IGNORE).flatten().nonzero()[:, 0]
        return TextWindow(inputs, lengths, targets, fresh, 1.0, places=places)

    def labelled(self, records: Iterable[Record], class_names: Sequence[str]) -> WindowedText:  # noqa: ARG002
        """Return the texts of records, each read whole from its start; blank lines are skipped as in training.

        Raises:
            ValueError: a record has no text, there is none, or there are several for a model of a single stream.
        """
        texts = []
        for place, fields, _ in readable(records):
            if self.form.unit == "line" and not str(fields.get(self.form.field, fields.get("text", ""))).strip():
                continue
            try:
                texts.append(self._text(fields))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
        if not any(texts):
            raise ValueError("the input holds no text")
        if not self.ends and len(texts) > 1:
            raise ValueError(f"the model was trained on a single text, the input has {len(texts)}: join them")
        corpus = self.corpus(texts, from_start=True)
        TokenCounts.of(corpus).say("input")
        return WindowedText(corpus, self, bptt=READ, whole=True)


class CountingTokenizer:
    """Tokenises texts and counts their characters and unknown tokens."""

    def __init__(self, text: TextPreprocessing) -> None:
        self.text = text
        self.counts = Counts()

    def __call__(self, text: str) -> list[int]:
        tokens = self.text.tokens(text)
        unknown = 0 if self.text.vocabulary.unknown is None else tokens.count(self.text.vocabulary.unknown)
        characters = len(with_space(text, self.text.space))
        self.counts = Counts(self.counts.characters + characters, self.counts.unknown + unknown)
        return tokens


def with_space(text: str, space: str | None) -> str:
    """Replace spaces by a character and drop those around lines; without one, return the text as it is."""
    return text if space is None else "\n".join(line.strip().replace(" ", space) for line in text.split("\n"))
