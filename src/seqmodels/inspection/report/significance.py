"""Which differences between groups of runs are larger than chance: Welch's t-test, corrected by Holm's method."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean
from typing import NamedTuple

TOGETHER = 6  # groups of which all pairs are compared; of more, each with the best
LEVEL = 0.05


class Difference(NamedTuple):
    """Two groups of runs: the difference of their means, the p-value of it and that corrected for all comparisons.

    Both p-values are None if a group has fewer than two runs or all runs of both have the same value.
    """

    first: str
    second: str
    runs: tuple[int, int]
    difference: float
    p: float | None
    corrected: float | None


def differences(groups: Mapping[str, Sequence[float]], *, higher: bool) -> list[Difference]:
    """Compare the means of a metric over the runs of each group, by Welch's t-test of two sides.

    Up to six groups are compared in all pairs; of more, each is compared with the best alone.

    Args:
        groups: the values of each group, by its name.
        higher: whether more of the metric is better.

    Raises:
        ImportError: scipy is not installed.

    Example:
        >>> found = differences({"gru": [0.9, 0.91, 0.92], "elman": [0.5, 0.52, 0.51], "lstm": [0.9]}, higher=True)
        >>> [(each.first, each.second, each.corrected is not None and each.corrected < 0.001) for each in found]
        [('gru', 'elman', True), ('gru', 'lstm', False), ('elman', 'lstm', False)]
    """
    pairs = list(combinations(groups, 2))
    if len(groups) > TOGETHER:
        best = (max if higher else min)(groups, key=lambda name: mean(groups[name]))
        pairs = [(best, other) for other in groups if other != best]
    p_values = [_p_value(groups[first], groups[second]) for first, second in pairs]
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [
        Difference(
            first,
            second,
            (len(groups[first]), len(groups[second])),
            mean(groups[first]) - mean(groups[second]),
            p,
            None if p is None else next(corrected),
        )
        for (first, second), p in zip(pairs, p_values, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by the method of Holm (1979), in the order given.

    Example:
        >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
        [0.06, 0.03, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    found, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        found[index] = largest
    return found


def _p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    from scipy.stats import ttest_ind  # noqa: PLC0415  (an extra)

    if min(len(first), len(second)) < 2 or len({*first}) == len({*second}) == 1:
        return None
    return float(ttest_ind(first, second, equal_var=False).pvalue)
