"""Which runs are listed and in what order: ``where=``, ``older=``, ``sort=``."""

import operator
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from seqmodels.commands.runs.options import duration, items
from seqmodels.commands.runs.rows import Row
from seqmodels.errors import ConfigError, nearest
from seqmodels.training.records.metrics import by_importance, higher_is_better
from seqmodels.training.records.reading import as_text
from seqmodels.training.records.spread import Spread

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(r"([^=<>!]+?) *(!=|>=|<=|=|>|<) *(.*)")
_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+")  # a text in YAML: 1e-3
LARGEST_FIRST = ("size", "epochs")


class Condition(NamedTuple):
    """``name sign value``, such as ``cell=gru`` or ``test/accuracy>0.9``."""

    name: str
    sign: str
    value: Any


def selected(rows: Sequence[Row], options: Mapping[str, str]) -> list[Row]:
    """Return the rows that every condition of ``where=`` and ``older=`` admits.

    Raises:
        ConfigError: a condition cannot be read, there is none, or no run has the key or metric that it names.
    """
    conditions = [_condition(text, rows) for text in items(options.get("where", ""))]
    if "where" in options and not conditions:  # rather than all runs, which may be meant for deletion
        raise ConfigError("where: there is no condition; write where=[key=value], or leave it out for all runs")
    older, now = duration(options, "older"), time.time()
    return [
        row
        for row in rows
        if all(_holds(condition, row) for condition in conditions)
        and (older is None or now - row.runs[0].changed > older)
    ]


def in_order(rows: Sequence[Row], options: Mapping[str, str]) -> tuple[list[Row], str]:
    """Return the rows as ``sort=`` and ``descending=`` order them, newest first by default, and the name sorted by.

    Raises:
        ConfigError: no run has the key or metric that ``sort`` names.
    """
    name = key_of(options["sort"], rows, "sort") if "sort" in options and rows else "age"
    is_metric = any(name in row.metrics for row in rows)
    runs = [run for row in rows for run in row.runs]
    down = name in LARGEST_FIRST or (is_metric and higher_is_better(name, runs))
    if "descending" in options:
        down = options["descending"] == "true"
    known = [row for row in rows if value_of(row, name) is not None]
    unknown = [row for row in rows if value_of(row, name) is None]
    return [*sorted(known, key=lambda row: _sortable(value_of(row, name)), reverse=down), *unknown], name


def key_of(name: str, rows: Iterable[Row], option: str) -> str:
    """Return the metric, key or column that a name means; a key may be given by its last part.

    Raises:
        ConfigError: there is none, or several.
    """
    rows = [*rows]
    known = dict.fromkeys([*COLUMNS, *(key for row in rows for key in (*row.metrics, *row.values))])
    if name in known:
        return name
    ends = sorted((key for key in known if key.endswith((f".{name}", f"/{name}"))), key=lambda key: key.count("."))
    ends = [key for key in ends if "/" in key or key.count(".") == ends[0].count(".")]  # copies have longer paths
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise ConfigError(f"{option}: {name} may be {' or '.join(ends)}")
    short = [key.rpartition(".")[2] for key in known]
    metrics = ", ".join(by_importance([*dict.fromkeys(metric for row in rows for metric in row.metrics)]))
    raise ConfigError(f"{option}: no run has {name}{nearest(name, [*known, *short])} (metrics: {metrics})")


def value_of(row: Row, name: str) -> Any:
    """Return what a row has under the name of a metric, a key or a column; None if it has nothing."""
    if name in row.metrics:
        value = row.metrics[name]
        return value.mean if isinstance(value, Spread) else value
    return COLUMNS[name](row) if name in COLUMNS else row.values.get(name)


COLUMNS: dict[str, Callable[[Row], Any]] = {
    "age": lambda row: time.time() - max(run.changed for run in row.runs),
    "size": lambda row: sum(run.size for run in row.runs),
    "epochs": lambda row: max((run.epochs for run in row.runs if run.epochs is not None), default=None),
    "state": lambda row: row.runs[0].state,
    "name": lambda row: row.runs[0].config.get("name"),
    "run": lambda row: row.name,
}


def _condition(text: str, rows: Sequence[Row]) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"where: {text!r} is no condition; write key=value, key!=value, metric>number or metric<number"
        )
    name, sign, value = found.groups()
    return Condition(key_of(name, rows, "where") if rows else name, sign, _value(value, text))


def _value(value: str, text: str) -> Any:
    try:
        found = yaml.safe_load(value)
        return float(found) if isinstance(found, str) and _EXPONENT.fullmatch(found) else found
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"where: the value of {text!r} cannot be read") from error


def _holds(condition: Condition, row: Row) -> bool:
    value = value_of(row, condition.name)
    if condition.sign in ("=", "!="):
        equal = value == condition.value or as_text(value) == as_text(condition.value)
        return equal == (condition.sign == "=")
    both = (value, condition.value)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in both):
        return False
    return COMPARE[condition.sign](*both)


def _sortable(value: Any) -> tuple[bool, Any]:
    """Return a key that sorts numbers before texts."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (False, value) if is_number else (True, as_text(value))
