"""Documents as one token array, and their distribution over the rows of a batch."""

import heapq
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.integer]
Piece = tuple[int, int]
"""Range of a piece of text: inputs ``tokens[first:end]``, targets ``tokens[first + 1:end + 1]``."""


class Counts(NamedTuple):
    """Number of characters of a text, and of its tokens that are not in the vocabulary."""

    characters: int = 0
    unknown: int = 0


class Corpus(NamedTuple):
    """Concatenated documents in an array, or in a memory-mapped file that need not fit in memory.

    Document ``i`` is read as inputs ``tokens[offsets[i]:offsets[i + 1]]``, with the next tokens as targets. Multiple
    documents each start with an edge token, and one more follows the last, so that every token of a document, including
    its end, is predicted exactly once. In a single text without edges, all tokens but the first are predicted.
    """

    tokens: Tokens
    offsets: NDArray[np.int64]  # (documents + 1,), ascending; the last is the number of tokens minus one
    counts: Counts = Counts()

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    @property
    def targets(self) -> int:
        """Number of predicted tokens."""
        return int(self.offsets[-1] - self.offsets[0])


def corpus_of(documents: Iterable[Sequence[int]], vocab_size: int, edge: int | None) -> Corpus:
    """Concatenate tokenised documents, with the token ``edge`` before each and after the last.

    Without ``edge``, there must be exactly one document.

    Raises:
        ValueError: no documents, or several without ``edge``.
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


def joined(corpora: Sequence[Corpus], edge: int | None) -> Corpus:
    """Return the documents of several corpora as one, in memory; texts without ``edge`` continue one another."""
    counts = Counts(*map(sum, zip(*(corpus.counts for corpus in corpora), strict=True)))
    if edge is None:
        tokens = np.concatenate([corpus.tokens for corpus in corpora])
        return Corpus(tokens, np.array([0, len(tokens) - 1], np.int64), counts)
    # the edge that ends a corpus is the one that starts the next
    parts = [corpus.tokens[:-1] for corpus in corpora[:-1]] + [corpora[-1].tokens]
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    offsets = [corpus.offsets[:-1] + start for corpus, start in zip(corpora, starts, strict=True)]
    ends = corpora[-1].offsets[-1:] + starts[-1]
    return Corpus(np.concatenate(parts), np.concatenate([*offsets, ends]), counts)


def token_type(vocab_size: int) -> np.dtype[np.integer]:
    """Return the smallest integer dtype that holds every token."""
    return np.min_scalar_type(max(vocab_size - 1, 0))


def training_rows(
    corpus: Corpus, rows: int, bptt: int, order: NDArray[np.int64], *, packed: bool = False
) -> list[list[Piece]]:
    """Concatenate the documents in ``order`` and cut them into rows whose window counts differ by at most one.

    A window has ``bptt`` steps, the last one of a document may be shorter, or only the last one of all if documents are
    ``packed``. The number of windows does not depend on the order. A document cut by a row's end continues in the next
    row; a single text becomes contiguous rows.
    """
    firsts, ends = corpus.offsets[:-1][order], corpus.offsets[1:][order]
    steps = ends - firsts if packed else -(-(ends - firsts) // bptt) * bptt
    before = np.concatenate([[0], np.cumsum(steps)])  # steps before each document
    cuts = (-(-before[-1] // bptt) * np.arange(rows + 1)) // rows * bptt
    shares: list[list[Piece]] = []
    for low, high in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        pieces: list[Piece] = []
        document = int(np.searchsorted(before, low, side="right")) - 1
        while document < len(order) and before[document] < high:
            skipped, taken = max(low - int(before[document]), 0), high - int(before[document])
            first = int(firsts[document])
            pieces.append((first + skipped, min(first + taken, int(ends[document]))))
            document += 1
        shares.append([piece for piece in pieces if piece[0] < piece[1]])
    return shares


def whole_documents(corpus: Corpus, rows: int, bptt: int) -> list[list[Piece]]:
    """Assign whole documents to rows, longest first, each to the row with the fewest windows.

    A single text is cut as in training.
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
    """Cut a single text into contiguous rows whose token counts differ by at most one."""
    first, end = int(corpus.offsets[0]), int(corpus.offsets[-1])
    cuts = [first + (end - first) * row // rows for row in range(rows + 1)]
    return [[piece] for piece in pairwise(cuts)]
