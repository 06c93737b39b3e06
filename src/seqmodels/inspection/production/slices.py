"""Groups of records on which a model is worst, and its metrics by group."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

LEAST = 20  # records of a slice
GROUPS = 50  # values of a column, above which it is no grouping
PARTS = 4  # of a number, equally frequent
LEVEL = 0.05  # of the test, over all slices together


class Slice(NamedTuple):
    """The records with one value of an attribute, compared with all others."""

    attribute: str
    value: str
    rows: int
    loss: float  # mean over its records
    others: float  # mean over all other records
    error: float  # standard error of the difference
    accuracy: float  # share of right answers; NaN if there is no such thing
    significant: bool  # whether the loss is higher than that of the others, given the number of slices

    @property
    def bound(self) -> float:
        """Lower bound of how much higher the loss is, two standard errors below the difference."""
        return self.loss - self.others - 2 * self.error


def slices(
    losses: NDArray[np.float64],
    attributes: Mapping[str, Sequence[Any]],
    correct: NDArray[np.float64] | None = None,
    *,
    least: int = LEAST,
) -> list[Slice]:
    """Return the slices of some records, the worst first.

    A slice holds the records with one value of an attribute; a number with many values is cut at its quartiles. The
    order is that of the lower bound of how much higher the loss of a slice is than that of all other records, so that
    a few bad records do not come before a large bad group. Significant is a slice whose difference Welch's test, with
    the normal distribution, finds at a level of 5 % over all slices (Bonferroni).

    Args:
        losses: of each record, ``(n,)``.
        attributes: by name, a value for each record; None where it has none.
        correct: whether each answer is right, or its share of right answers, ``(n,)``.
        least: number of records of a slice, and of the others.

    Raises:
        ValueError: an attribute does not have a value for each record.

    Example:
        >>> losses = np.array([0.1, 0.2, 0.1, 0.2] * 10 + [3.0, 3.1] * 10)
        >>> worst, *_ = slices(losses, {"shop": ["north"] * 40 + ["south"] * 20})
        >>> worst.value, worst.significant
        ('south', True)
    """
    found = []
    for name, values in attributes.items():
        if len(values) != len(losses):
            raise ValueError(f"{name} must have one value for each of {len(losses)} records, got {len(values)}")
        for value, members in grouped(values).items():
            if least <= members.sum() <= len(losses) - least:
                found.append(_slice(name, value, members, losses, correct))
    limit = float(torch.special.ndtri(torch.tensor(1 - LEVEL / max(len(found), 1)).double()))
    tested = [each._replace(significant=each.loss - each.others > limit * each.error) for each in found]
    return sorted(tested, key=lambda each: -each.bound)


def metrics_by(
    losses: NDArray[np.float64], values: Sequence[Any], correct: NDArray[np.float64] | None = None
) -> list[Slice]:
    """Return the metrics of each group of records, in the order of their values, however small a group is.

    Args:
        losses, correct: as in :func:`slices`.
        values: the group of each record; numbers with many values are cut at their quartiles.

    Example:
        >>> [(group.value, group.rows) for group in metrics_by(np.array([0.1, 0.3, 0.2]), ["b", "a", "b"])]
        [('a', 1), ('b', 2)]
    """
    groups = grouped(values, most=len(values))
    return [_slice("group", value, members, losses, correct) for value, members in sorted(groups.items())]


def grouped(values: Sequence[Any], most: int = GROUPS) -> dict[str, NDArray[np.bool_]]:
    """Return which records have each value, or lie in each quartile of a number with more than ten values.

    There are none if more than ``most`` values are no numbers.

    Example:
        >>> {name: rows.tolist() for name, rows in grouped(["a", "b", None, "a"]).items()}
        {'a': [True, False, False, True], 'b': [False, True, False, False]}
    """
    known = np.array([value is not None and str(value).strip() != "" for value in values])
    names = np.array([str(value) for value in values], dtype=object)
    distinct = sorted(set(names[known].tolist()))
    numbers = np.array([_number(value) for value in values])
    if len(distinct) > 10 and bool(np.isfinite(numbers[known]).all()):
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, PARTS + 1)[1:-1]))
        part = np.searchsorted(edges, numbers, side="right")
        labels = [f"below {edges[0]:g}", *(f"from {edge:g}" for edge in edges)]
        return {label: (part == number) & known for number, label in enumerate(labels)}
    if len(distinct) > most:
        return {}
    return {name: (names == name) & known for name in distinct}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _slice(
    name: str,
    value: str,
    members: NDArray[np.bool_],
    losses: NDArray[np.float64],
    correct: NDArray[np.float64] | None,
) -> Slice:
    inside, outside = losses[members], losses[~members]
    squared = sum((part.var(ddof=1) / len(part) if len(part) > 1 else math.nan) for part in (inside, outside))
    mean = float(outside.mean()) if len(outside) else math.nan
    accuracy = math.nan if correct is None else float(correct[members].mean())
    error = float(np.sqrt(squared))
    return Slice(name, value, len(inside), float(inside.mean()), mean, error, accuracy, significant=False)
