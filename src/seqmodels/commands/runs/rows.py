"""The rows of a table of runs: a run each, or the runs that differ in one key only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seqmodels.commands.runs.layout import Metric
from seqmodels.training.records.reading import FINISHED, Run, as_text
from seqmodels.training.records.spread import spread_of


class Row(NamedTuple):
    """One run, or several that differ in one key only; ``values`` describe what is computed."""

    name: str
    runs: tuple[Run, ...]
    values: Mapping[str, Any]
    metrics: Mapping[str, Metric]


def merged(rows: Sequence[Row], by: str, keys: Sequence[str]) -> list[Row]:
    """Return a row for all finished runs whose values of ``keys`` are equal, with the mean of each metric.

    Args:
        rows: one for each run.
        by: the key in which runs of a row may differ.
        keys: the keys in which any of the runs differ; those that have the same values as ``by`` in all rows follow it.
    """
    follow = [as_text(row.values.get(by)) for row in rows]
    fixed = [key for key in keys if [as_text(row.values.get(key)) for row in rows] != follow]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.runs[0].state == FINISHED:
            groups.setdefault(tuple(as_text(row.values.get(key)) for key in fixed), []).append(row)
    return [_merge(group, by) for group in groups.values()]


def _merge(rows: Sequence[Row], by: str) -> Row:
    values = {key: value for key, value in rows[0].values.items() if key != by}
    runs = tuple(run for row in rows for run in row.runs)
    return Row("", runs, values, means([row.metrics for row in rows]))


def means(metrics: Sequence[Mapping[str, Metric]]) -> dict[str, Metric]:
    """Return the mean and deviation of each metric over those who have it; None counts as not a number."""
    names = dict.fromkeys(name for row in metrics for name in row)
    found = {name: [row[name] for row in metrics if name in row] for name in names}
    return {
        name: spread_of([float("nan") if value is None else float(str(value)) for value in values])
        for name, values in found.items()
    }
