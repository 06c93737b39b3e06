"""The table of metrics that a command prints at the end, and the console for all tables."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BASELINES = ("persistence", "seasonal_naive", "majority", "bag_of_words", "nearest_neighbour", "summary")
"""Prefixes of metrics that are shown next to those of the model."""

WIDTH = 160  # for a file or a pipe


def console() -> Console:
    """Return a console for texts as they are, as wide as the terminal, or enough for a table if there is none."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}  # [default] and :a: are names
    return Console(**plain) if sys.stdout.isatty() else Console(width=WIDTH, **plain)


def print_metrics(metrics: Mapping[str, float], folder: str | Path) -> None:
    """Print the final metrics as a table, with separate columns for naive forecasts, and the run folder."""
    baselines = [prefix for prefix in BASELINES if any(_prefixed(name, prefix) in metrics for name in metrics)]
    table = Table("metric", "value", *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    in_columns = {_prefixed(name, prefix) for name in metrics for prefix in baselines}
    for name, value in ordered(metrics).items():
        if name not in in_columns:
            columns = (_cell(metrics, _prefixed(name, prefix)) for prefix in baselines)
            table.add_row(name, number(value), *columns)
    out = console()
    out.print(table)
    out.print(f"run folder: {folder}", soft_wrap=True)


def _prefixed(name: str, prefix: str) -> str:
    """Return the name of a metric for another forecast: ``test/persistence_mse`` for ``test/mse``."""
    stage, _, metric = name.rpartition("/")
    return f"{stage}/{prefix}_{metric}"


def ordered(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics ordered: test, validation, training, then the rest."""
    order = ["test", "val", "train"]
    rank = {name: order.index(name.split("/")[0]) if name.split("/")[0] in order else 3 for name in metrics}
    return {name: metrics[name] for name in sorted(metrics, key=lambda name: rank[name])}


def number(value: float | None) -> str:
    """Return a metric as text; one that is not a number is None, since JSON has no NaN."""
    if value is None:
        return "nan"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"


def _cell(metrics: Mapping[str, float], name: str) -> str:
    return number(metrics[name]) if name in metrics else ""
