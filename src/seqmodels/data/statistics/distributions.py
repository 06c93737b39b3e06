"""How often what occurs in the inputs of a model, as small plain data."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.loaders import Split
from seqmodels.data.statistics.rows import sampled
from seqmodels.data.text.vocabulary import Vocabulary

Counts = NDArray[np.float64]
"""``(rows, bins)``: how often each bin occurs in each row."""

BINS = 10  # of a number, equally frequent in training
TOKENS = 100  # the most frequent ones, each a bin
FEATURES = 256  # that are described
FORMAT = 1


def describe(
    rows: Sequence[Tensor], *, unknown: int | None = None, unseen: Sequence[Tensor] | None = None
) -> dict[str, Any]:
    """Return the statistics of some rows as plain JSON.

    Of numbers, for each feature the mean, deviation and deciles; of tokens, the shares of the most frequent ones and
    of those that are not in the vocabulary. In both cases the deciles of the lengths. Each is a distribution over a few
    bins, with the number of values and their *design effect*: how much more the shares of a sample vary than those of
    as many independent values would, since the steps of a row are alike (Rao and Scott, 1981).

    Args:
        rows: tokens ``(time_i,)`` or numbers ``(time_i, features)``.
        unknown: the token for what is not in the vocabulary.
        unseen: rows that the vocabulary was not learnt from, by which the share of unknown tokens is measured; ``rows``
            by default, of which the vocabulary knows more than of any others.

    Raises:
        ValueError: there are no rows.

    Example:
        >>> found = describe([torch.tensor([1, 4, 4]), torch.tensor([4, 5])], unknown=1)
        >>> found["features"]["tokens"]["bins"], found["features"]["unknown"]["shares"]
        ([4, 1, 5], [0.8, 0.2])
    """
    if not rows:
        raise ValueError("there must be at least one row")
    flat = _Flat.of(rows)
    features = {"length": _numbers(flat.lengths.astype(float), _Flat.single(len(rows)))}
    if rows[0].is_floating_point():
        for feature in range(min(flat.values.shape[1], FEATURES)):
            features[str(feature)] = _numbers(flat.values[:, feature], flat)
    else:
        values, counts = np.unique(flat.values, return_counts=True)
        tokens = values[np.argsort(-counts, kind="stable")][:TOKENS].tolist()
        features["tokens"] = {"kind": "tokens", "bins": tokens, **_shares(_counted(flat, tokens))}
        if unknown is not None:
            others = flat if unseen is None else _Flat.of(unseen)
            features["unknown"] = {"kind": "unknown", "bins": [unknown], **_shares(_unknown(others, unknown))}
    return {"format": FORMAT, "rows": len(rows), "features": features}


def describe_split(train: Split[Any], val: Split[Any], vocabulary: Vocabulary | None) -> dict[str, Any] | None:
    """Return the statistics of a sample of the train split; None if its batches are none that this can read.

    The share of unknown tokens is that of the validation split: the vocabulary was learnt from the train split.
    """
    rows = sampled(train)
    if not rows:
        return None
    unknown = None if vocabulary is None else vocabulary.unknown
    return describe(rows, unknown=unknown, unseen=None if unknown is None else sampled(val))


class _Flat(NamedTuple):
    """The steps of all rows, one after the other."""

    values: NDArray[Any]  # (steps,) tokens or (steps, features)
    owner: NDArray[np.int64]  # (steps,)  the row of each step
    lengths: NDArray[np.int64]  # (rows,)

    @classmethod
    def of(cls, rows: Sequence[Tensor]) -> "_Flat":
        lengths = np.array([len(row) for row in rows])
        values = torch.cat(list(rows))
        values = values.flatten(1).double() if values.is_floating_point() else values
        return cls(values.numpy(), np.repeat(np.arange(len(rows)), lengths), lengths)

    @classmethod
    def single(cls, rows: int) -> "_Flat":
        """Return rows of one step each, without values."""
        return cls(np.empty(0), np.arange(rows), np.ones(rows, dtype=np.int64))

    def counts(self, bins: NDArray[np.int64], width: int) -> Counts:
        """Return how often each of ``width`` bins occurs in each row, for the bin of each step."""
        rows = len(self.lengths)
        found = np.bincount(self.owner * width + bins, minlength=rows * width)
        return found.reshape(rows, width).astype(float)


def _numbers(values: NDArray[Any], flat: _Flat) -> dict[str, Any]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])).tolist()
    found: dict[str, Any] = {"kind": "number", "bins": edges}
    found |= {"mean": float(values.mean()), "deviation": float(values.std())}
    return found | _shares(_binned(values, flat, edges))


def counts_in(rows: Sequence[Tensor], name: str, feature: Mapping[str, Any]) -> Counts:
    """Return how often each bin of a feature occurs in each of some new rows.

    Args:
        rows: as in :func:`describe`.
        name: of the feature.
        feature: its statistics in training.
    """
    flat = _Flat.of(rows)
    if feature["kind"] == "tokens":
        return _counted(flat, feature["bins"])
    if feature["kind"] == "unknown":
        return _unknown(flat, feature["bins"][0])
    if name == "length":
        return _binned(flat.lengths.astype(float), _Flat.single(len(rows)), feature["bins"])
    return _binned(flat.values[:, int(name)], flat, feature["bins"])


def _binned(values: NDArray[Any], flat: _Flat, edges: list[float]) -> Counts:
    return flat.counts(np.searchsorted(edges, values, side="right"), len(edges) + 1)


def _counted(flat: _Flat, tokens: list[int]) -> Counts:
    """Return the counts of some tokens, and in the last bin that of all others."""
    chosen = np.array(tokens)
    order = np.argsort(chosen)
    place = order[np.searchsorted(chosen, flat.values, sorter=order).clip(max=len(tokens) - 1)]
    return flat.counts(np.where(chosen[place] == flat.values, place, len(tokens)), len(tokens) + 1)


def _unknown(flat: _Flat, unknown: int) -> Counts:
    return flat.counts((flat.values == unknown).astype(np.int64), 2)


def _shares(counts: Counts) -> dict[str, Any]:
    total = counts.sum()
    return {
        "shares": (counts.sum(0) / total).tolist(),
        "count": int(total),
        "effect": design_effect(counts),
    }


def design_effect(counts: Counts) -> float:
    r"""Return how much more shares over clusters of values vary than those of independent values, at least 1.

    .. math::

        D = \frac{N}{k - 1} \sum_b \frac{V_b}{p_b}, \qquad
        V_b = \frac{R}{R - 1} \sum_r \frac{(c_{rb} - p_b n_r)^2}{N^2}

    The first-order correction of Rao and Scott (1981, The analysis of categorical data from complex sample surveys),
    for R rows of :math:`n_r` values in k bins. NaN for a single row, which tells nothing of it.

    Example:
        >>> design_effect(np.array([[4.0, 0.0], [0.0, 4.0]]))  # rows of four values that are all the same
        8.0
    """
    rows, total = len(counts), counts.sum()
    shares = counts.sum(0) / total
    used = shares > 0
    if rows < 2:
        return float("nan")
    if used.sum() < 2:
        return 1.0
    residuals = counts[:, used] - shares[used] * counts.sum(1, keepdims=True)
    variances = rows / (rows - 1) * (residuals**2).sum(0) / total**2
    return max(1.0, float(total / (used.sum() - 1) * (variances / shares[used]).sum()))
