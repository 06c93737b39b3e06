"""The table of metrics that a command prints at the end, and the console for all tables."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seqmodels.training.records.metrics import BASELINES, with_baseline

WHOLE = ("parameters", "epochs", "steps", "seconds")  # of a run as a whole
PLACE = ("best/epoch", "best/step")
WIDTH = 160  # for a file or a pipe


def console() -> Console:
    """Return a console for texts as they are, as wide as the terminal, or enough for a table if there is none."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}  # [default] and :a: are names
    return Console(**plain) if sys.stdout.isatty() else Console(width=WIDTH, **plain)


def print_metrics(metrics: Mapping[str, float], folder: str | Path) -> None:
    """Print the final metrics as a table, with separate columns for naive forecasts, and the run folder.

    Metrics of a training have a column for the best checkpoint, which is the one that was tested, and one for the last
    epoch; below the table are the numbers about the run as a whole.
    """
    values = _columns(metrics)
    names = dict.fromkeys(name for column in values.values() for name in column)
    baselines = [prefix for prefix in BASELINES if any(with_baseline(name, prefix) in names for name in names)]
    in_columns = {with_baseline(name, prefix) for name in names for prefix in baselines}
    table = Table("metric", *values, *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    stage = ""
    for name in ordered(dict.fromkeys(name for name in names if name not in in_columns)):
        if stage and name.split("/")[0] != stage:
            table.add_section()
        stage = name.split("/")[0]
        cells = [_cell(column, name) for column in values.values()]
        table.add_row(name, *cells, *(_cell(metrics, with_baseline(name, prefix)) for prefix in baselines))
    out = console()
    out.print(table)
    whole = [f"{name} {number(metrics[name])}" for name in WHOLE if name in metrics]
    if whole:
        out.print(", ".join(whole))
    out.print(f"run folder: {folder}", soft_wrap=True)


def _columns(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the metrics by column: of the best checkpoint, with the test if that was tested, and of the last epoch."""
    own = {name: value for name, value in metrics.items() if name not in (*WHOLE, *PLACE)}
    if "epochs" not in metrics:  # an evaluation
        return {"value": own}
    best = {name.removeprefix("best/"): value for name, value in own.items() if name.startswith("best/")}
    tested = {name: value for name, value in own.items() if name.startswith("test/") and "best/epoch" in metrics}
    last = {name: value for name, value in own.items() if not name.startswith("best/") and name not in tested}
    heads = f"best\nepoch {metrics.get('best/epoch', '?')}", f"last\nepoch {number(metrics['epochs'])}"
    return {head: column for head, column in zip(heads, (tested | best, last), strict=True) if column}


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
