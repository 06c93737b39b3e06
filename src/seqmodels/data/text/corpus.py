"""Documents as one array of tokens, and how they are shared out among the rows of a batch."""

import heapq
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.integer]
Piece = tuple[int, int]
"""Where a stretch of text is read: inputs ``tokens[first:end]``, targets ``tokens[first + 1:end + 1]``."""


class Corpus(NamedTuple):
    """Documents one after the other; an array, or a memory-mapped file that need not fit into memory.

    Document ``i`` is read as inputs ``tokens[offsets[i]:offsets[i + 1]]``, and its targets are the tokens that follow
    each: where there are several, each starts with a token that stands for the edge of a document, the last is followed
    by one, and every token of a document is predicted exactly once, its end too. Of a single text without such edges
    every token but the first is.
    """

    tokens: Tokens
    offsets: NDArray[np.int64]  # (documents + 1,), ascending; the last is the number of tokens less one

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    @property
    def targets(self) -> int:
        """Number of tokens that are predicted."""
        return int(self.offsets[-1] - self.offsets[0])


def corpus_of(documents: Iterable[Sequence[int]], vocab_size: int, edge: int | None) -> Corpus:
    """Lay documents of tokens end to end, each preceded by the token ``edge``, and one after the last.

    Without ``edge`` there must be one document.

    Raises:
        ValueError: there is no document, or several and no edge.
    """
    kind = token_type(vocab_size)
    border = np.array([] if edge is None else [edge], kind)
    parts, offsets = [], [0]
    for document in documents:
        tokens = np.asarray(document, kind)
        parts += [border, tokens]
        offsets.append(offsets[-1] + len(border) + len(tokens))
    if edge is None:
        if len(parts) != 2:
            raise ValueError(f"without a token for the edge of a document there must be one, got {len(parts) // 2}")
        offsets[-1] = max(offsets[-1] - 1, 0)
    if len(parts) == 0:
        raise ValueError("there is no document")
    return Corpus(np.concatenate([*parts, border]), np.array(offsets, np.int64))


def token_type(vocab_size: int) -> np.dtype[np.integer]:
    """Return the smallest type of whole numbers that holds every token."""
    return np.min_scalar_type(max(vocab_size - 1, 0))


def training_rows(corpus: Corpus, rows: int, bptt: int, order: NDArray[np.int64]) -> list[list[Piece]]:
    """Lay the documents end to end in ``order`` and cut them into rows of as many windows, or one less.

    A window has ``bptt`` steps, the last of a document those that are left. How many there are does not depend on the
    order. A document in which a row ends goes on in the next row; a single text becomes contiguous rows.
    """
    firsts, ends = corpus.offsets[:-1][order], corpus.offsets[1:][order]
    windows = np.concatenate([[0], np.cumsum(-(-(ends - firsts) // bptt))])  # before each document
    cuts = (windows[-1] * np.arange(rows + 1)) // rows
    shares: list[list[Piece]] = []
    for low, high in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        pieces: list[Piece] = []
        document = int(np.searchsorted(windows, low, side="right")) - 1
        while document < len(order) and windows[document] < high:
            skipped = max(low - int(windows[document]), 0) * bptt
            taken = (high - int(windows[document])) * bptt
            first = int(firsts[document])
            pieces.append((first + skipped, min(first + taken, int(ends[document]))))
            document += 1
        shares.append([piece for piece in pieces if piece[0] < piece[1]])
    return shares


def whole_documents(corpus: Corpus, rows: int, bptt: int) -> list[list[Piece]]:
    """Give each row whole documents, the longest first to the row that has least, so that none is cut.

    A single text is cut as for training.
    """
    if corpus.documents == 1:
        return training_rows(corpus, rows, bptt, np.arange(1))
    lengths = np.diff(corpus.offsets)
    least = [(0, row) for row in range(rows)]
    shares: list[list[Piece]] = [[] for _ in range(rows)]
    for document in np.argsort(-lengths, kind="stable").tolist():
        windows, row = heapq.heappop(least)
        length = int(lengths[document])
        if length:
            first = int(corpus.offsets[document])
            shares[row].append((first, first + length))
        heapq.heappush(least, (windows - (-length // bptt), row))
    return shares


def equal_rows(corpus: Corpus, rows: int) -> list[list[Piece]]:
    """Cut a single text into contiguous rows of as many tokens, or one less."""
    first, end = int(corpus.offsets[0]), int(corpus.offsets[-1])
    cuts = [first + (end - first) * row // rows for row in range(rows + 1)]
    return [[piece] for piece in pairwise(cuts)]
