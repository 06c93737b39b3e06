"""Bag of words: sequences of tokens by how often each n-gram occurs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.sequences import Sequences
from seqmodels.training.baselines.linear import log_odds
from seqmodels.training.baselines.rows import batches, sampled

SMALL_VOCABULARY = 1000  # tokens; a smaller one holds characters rather than words
NGRAMS = 8_000_000  # of the train split; more take too long
WEIGHTS = 2_000_000  # of the linear model


def bag_of_words(train: Sequences, test: Sequences, outputs: int) -> Tensor:
    """Return logits ``(test rows, outputs)`` of a logistic regression on TF-IDF weights of n-grams.

    Words are counted alone, characters in groups of up to 4. N-grams of a single train row are left out.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415  (an extra)
    from sklearn.feature_extraction.text import TfidfTransformer  # noqa: PLC0415

    base = 1 + max(int(split.values.max()) for split in (train, test)) + 1
    longest = 4 if base < SMALL_VOCABULARY else 1
    rows = sampled(train, int(NGRAMS / longest / train.lengths.double().mean()), "bag_of_words")
    found = list(_ngrams(train, rows, base, longest))
    known, column = np.unique(np.concatenate([codes for _, codes in found]), return_inverse=True)
    row = np.concatenate([row for row, _ in found])
    counts = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(rows), len(known)))
    spread = np.bincount(counts.indices, minlength=len(known))  # the number of rows of each n-gram
    limit = WEIGHTS // (outputs if outputs > 2 else 1)
    kept = np.sort(np.argsort(-spread, kind="stable")[: min(limit, int((spread > 1).sum()) or len(known))])
    known, weigh = known[kept], TfidfTransformer(sublinear_tf=True)
    features = weigh.fit_transform(counts[:, kept])

    def weighed(part: tuple[Any, Any]) -> Any:
        row, codes = part
        column = np.searchsorted(known, codes).clip(max=len(known) - 1)
        seen = known[column] == codes
        pairs = np.ones(int(seen.sum()), np.float32), (row[seen] - row.min(), column[seen])
        return weigh.transform(csr_array(pairs, shape=(int(row.max() - row.min()) + 1, len(known))))

    parts = (weighed(part) for part in _ngrams(test, range(len(test)), base, longest))
    return log_odds(features, train.targets[list(rows)], parts, outputs)


def _ngrams(split: Sequences, rows: Any, base: int, longest: int) -> Iterator[tuple[Any, Any]]:
    """Yield for batches of rows the row and the number of each n-gram: its tokens as digits, of which none is 0."""
    first = 0
    for batch in batches(split, rows):
        digits, time = batch.inputs.long() + 1, torch.arange(batch.inputs.shape[1])
        codes, row, found = torch.zeros_like(digits), torch.arange(len(digits)) + first, []
        for length in range(1, longest + 1):
            codes = codes[:, : digits.shape[1] - length + 1] * base + digits[:, length - 1 :]
            real = time[: codes.shape[1]] + length <= batch.lengths[:, None]
            found.append((row[:, None].expand_as(codes)[real], codes[real]))
        first += len(digits)
        yield tuple(torch.cat(part).numpy() for part in zip(*found, strict=True))  # type: ignore[misc]
