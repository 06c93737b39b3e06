"""Which runs, keys and metrics a table of runs has, and which run is the best."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seqmodels.commands.runs.layout import metric_text, value_text
from seqmodels.commands.runs.options import items, whole_number
from seqmodels.commands.runs.rows import Row, merged
from seqmodels.commands.runs.selection import in_order, key_of, selected, value_of
from seqmodels.errors import ConfigError, nearest
from seqmodels.training.records.differences import differing, is_relevant, short_names, worth_showing
from seqmodels.training.records.metrics import by_importance, higher_is_better, key_metrics
from seqmodels.training.records.reading import FINISHED, as_text
from seqmodels.training.records.spread import Spread

CONFIG = "config.yaml"
SAME_DATA = ("data", "data.path", "task")


class Listing(NamedTuple):
    """Rows in order; the keys in which they differ and all their metrics, and of both those that matter most."""

    rows: list[Row]
    keys: list[str]
    metrics: list[str]
    main_keys: list[str]
    main_metrics: list[str]
    merged: bool
    notes: list[str]


def choose(rows: Sequence[Row], options: Mapping[str, str], limit: int | None) -> Listing:
    """Return what the options of the command line choose; ``limit`` is the default of the option.

    Raises:
        ConfigError: no run has a key or metric that an option names.
    """
    total, rows = len(rows), selected(rows, options)
    count = f"{total} run{'s' * (total != 1)}"
    notes = [f"{len(rows)} of {count}" if len(rows) < total else count]
    values, by = [row.values for row in rows if CONFIG not in row.runs[0].damaged], None
    values += [{}] if len(rows) == 1 else []  # a single run differs by what was typed
    keys = differing(values)
    if "by" in options and rows:
        by = key_of(options["by"], rows, "by")
        keys = [key for key in keys if is_relevant(key)]
    main_keys = [key for key in worth_showing(keys, [row.runs[0] for row in rows], values) if key != by]
    if by is not None:
        unfinished = sum(row.runs[0].state != FINISHED for row in rows)
        notes += [f"not finished, so in no mean: {unfinished}"] if unfinished else []
        rows, keys = merged(rows, by, keys), [key for key in keys if key != by]
    rows, sorted_by = in_order(rows, options)
    notes += _best(rows, sorted_by, main_keys)
    limit = whole_number(options, "limit", limit)
    if limit is not None and limit < len(rows):
        notes.append(f"the first {limit} rows of {len(rows)}; limit=null shows all")
        rows = rows[:limit]
    known = by_importance([*dict.fromkeys(name for row in rows for name in row.metrics)])
    given = _given_metrics(items(options.get("metrics", "")), known) if rows else []
    main = given or key_metrics(run for row in rows for run in row.runs)
    notes += [f"{name}: not all runs of a row have it" for name in main if any(_is_partial(row, name) for row in rows)]
    return Listing(rows, keys, given or [*dict.fromkeys([*main, *known])], main_keys, main, by is not None, notes)


def _given_metrics(names: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise ConfigError(f"metrics: no run has {name}{nearest(name, known)} (metrics: {', '.join(known)})")
    return [*names]


def _is_partial(row: Row, name: str) -> bool:
    value = row.metrics.get(name)
    return isinstance(value, Spread) and value.runs < len(row.runs)


def _best(rows: Sequence[Row], sorted_by: str, keys: Sequence[str]) -> list[str]:
    """Return a line on the best run: by the metric sorted by, else by validation if all runs have the same data."""
    runs = [run for row in rows for run in row.runs]
    metric = sorted_by
    if not any(metric in row.metrics for row in rows):
        same = len({tuple(as_text(row.values.get(key)) for key in SAME_DATA) for row in rows}) == 1
        metric = next(iter(key_metrics(runs)), "") if same else ""
    having = [row for row in rows if metric in row.metrics and value_of(row, metric) is not None]
    if len(having) < 2:
        return []
    choice = max if higher_is_better(metric, runs) else min
    best, short = choice(having, key=lambda row: value_of(row, metric)), short_names(keys)
    described = " ".join(f"{short[key]}={value_text(best.values.get(key))}" for key in keys)
    place = str(best.runs[0].folder) if best.name else described
    return [f"best by {metric}: {metric_text(best.metrics[metric])}, {place}"]
