"""How far new inputs are from those of training, feature by feature."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqmodels.data.statistics.distributions import counts_in, design_effect

MODERATE, MAJOR = 0.1, 0.25
"""Values of the population stability index from which a shift is usually called moderate and major (Siddiqi, 2006)."""
LEVEL = 0.01  # of the test, over all features together
UNKNOWN = 0.02  # by which the share of unknown tokens must grow


class Shift(NamedTuple):
    """How far a feature of the inputs has moved from where it was in training."""

    feature: str  # its name in the statistics
    kind: str  # number, tokens, unknown
    psi: float  # population stability index
    p_value: float  # of a shift as large by chance
    before: NDArray[np.float64]  # share of each bin in training
    now: NDArray[np.float64]
    bins: list[Any]  # edges between the bins, or tokens
    number: int  # of new values
    drifted: bool

    @property
    def size(self) -> str:
        """Whether the shift is none, moderate or major."""
        if not self.drifted:
            return "none"
        return "major" if self.psi >= MAJOR or self.kind == "unknown" else "moderate"


def shifts(training: Mapping[str, Any], rows: Sequence[Tensor]) -> list[Shift]:
    r"""Compare new rows with the statistics of the training data, the largest shift first.

    .. math::

        \mathrm{PSI} = \sum_b (q_b - p_b) \ln \frac{q_b}{p_b}

    over the deciles of a number, or the most frequent tokens. A feature has drifted if its index is at least 0.1 and
    a chi-squared test of the two samples, divided by their design effects (Rao and Scott, 1981), rejects that they
    have one distribution at a level of 1 % over all features (Bonferroni): a large index of a few rows says nothing,
    and a tiny one of many rows matters to nobody. For the share of unknown tokens, an increase by 0.02 takes the place
    of the index.

    Args:
        training: the statistics that a run keeps in ``model/statistics.json``, or what
            ``seqmodels.data.statistics.describe`` returns.
        rows: tokens ``(time_i,)`` or numbers ``(time_i, features)``, encoded and scaled as in training.

    Raises:
        ValueError: there are no rows, or they are numbers where those of the training were tokens, or the reverse.

    Example:
        >>> from seqmodels.data.statistics import describe
        >>> rows = [torch.randn(7, 1, generator=torch.Generator().manual_seed(seed)) for seed in range(200)]
        >>> moved = shifts(describe(rows), [row + 2 for row in rows])
        >>> [(shift.feature, shift.size) for shift in moved]
        [('0', 'major'), ('length', 'none')]
    """
    if not rows:
        raise ValueError("there are no new rows to compare with the training data")
    features = training["features"]
    if ("tokens" in features) == rows[0].is_floating_point():
        raise ValueError("the statistics are of tokens and the new rows are numbers, or the reverse")
    found = [_shift(name, feature, rows, len(features)) for name, feature in features.items()]
    return sorted(found, key=lambda shift: (not shift.drifted, -shift.psi))


def _shift(name: str, feature: Mapping[str, Any], rows: Sequence[Tensor], tests: int) -> Shift:
    counts = counts_in(rows, name, feature)
    before, now = np.asarray(feature["shares"]), counts.sum(0) / counts.sum()
    known = _finite(feature["effect"], 1.0)
    # a few rows are too few to tell their own effect
    sizes = feature["count"] / known, counts.sum() / max(known, _finite(design_effect(counts), known))
    p_value = _p_value(before, now, *sizes)
    index = stability_index(before, now, *sizes)
    grown = now[-1] - before[-1] >= UNKNOWN if feature["kind"] == "unknown" else index >= MODERATE
    drifted = bool(grown and p_value < LEVEL / tests)
    return Shift(name, feature["kind"], index, p_value, before, now, feature["bins"], int(counts.sum()), drifted)


def stability_index(before: NDArray[np.float64], now: NDArray[np.float64], first: float, second: float) -> float:
    """Return the population stability index of two samples of ``first`` and ``second`` values, by their shares.

    An empty bin would make it infinite, so one value with the shares of both together is added to each sample.

    Example:
        >>> round(stability_index(np.array([0.5, 0.5]), np.array([0.8, 0.2]), 1e9, 1e9), 3)
        0.416
    """
    both = (first * before + second * now) / (first + second)
    used = both > 0
    p, q = ((shares * size + both)[used] / (size + 1) for shares, size in ((before, first), (now, second)))
    return float(((q - p) * np.log(q / p)).sum())


def _finite(value: float | None, other: float) -> float:
    return value if value is not None and np.isfinite(value) else other


def _p_value(before: NDArray[np.float64], now: NDArray[np.float64], first: float, second: float) -> float:
    """Return the p-value of the two-sample chi-squared test, for effective numbers of values.

    Bins in which fewer than five values are expected are joined, since the test is not exact for them (Cochran, 1954).
    """
    pooled = (first * before + second * now) / (first + second)
    rare = min(first, second) * pooled < 5
    before, now, pooled = (np.append(shares[~rare], shares[rare].sum()) for shares in (before, now, pooled))
    used = pooled > 0
    freedom = int(used.sum()) - 1
    if freedom < 1:
        return 1.0
    statistic = ((now - before)[used] ** 2 / pooled[used]).sum() / (1 / first + 1 / second)
    return float(torch.special.gammaincc(torch.tensor(freedom / 2).double(), torch.tensor(statistic / 2).double()))
