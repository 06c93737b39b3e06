"""The table of runs on a terminal."""

import time
from collections.abc import Sequence

from seqmodels.commands.runs.choosing import Listing
from seqmodels.commands.runs.layout import MAX_WIDTH, Column, age, fitting, metric_columns, size, table_of, value_text
from seqmodels.commands.tables import console
from seqmodels.training.records.differences import short_names
from seqmodels.training.records.reading import FINISHED, Run

STATE = "state"
MAX_NAME = 40  # characters of the path of a job of a multirun: name/<time>/12
FIRST, METRICS = 3, 2  # keys and metrics before all else


def print_listing(listing: Listing, notes: Sequence[str]) -> None:
    """Print a table of what fits a line, then lines that name the columns left out, and notes."""
    out = console()
    if listing.rows:
        columns = _columns(listing)
        shown = fitting(columns, out.width if out.is_terminal else MAX_WIDTH)
        out.print(table_of(shown))
        left_out = ", ".join(column.name for column in columns if column not in shown)
        if left_out:
            out.print(f"not shown: {left_out}; format=csv has all keys and metrics", soft_wrap=True)
    for line in notes:
        out.print(line, soft_wrap=True)


def _columns(listing: Listing) -> list[Column]:
    rows, short = listing.rows, short_names(listing.main_keys, taken=("run", "runs", "age", "size", "epochs", STATE))
    keys = [
        Column(short[key], [value_text(row.values.get(key)) for row in rows], 1 if index < FIRST else 3)
        for index, key in enumerate(listing.main_keys)
    ]
    first = len(listing.main_metrics) if listing.metrics == listing.main_metrics else METRICS
    metrics = metric_columns([row.metrics for row in rows], listing.main_metrics, first)
    if listing.merged:
        return [*keys, *metrics, Column("runs", [str(len(row.runs)) for row in rows], 0, True)]
    runs = [row.runs[0] for row in rows]
    return [Column("run", [row.name for row in rows], 0, max_width=MAX_NAME), *keys, *metrics, *_facts(runs)]


def _facts(runs: Sequence[Run]) -> list[Column]:
    now = time.time()
    epochs = ["" if run.epochs is None else f"{run.epochs:g}" for run in runs]
    best = ["" if run.best_epoch is None else f" (best {run.best_epoch:g})" for run in runs]
    states = [", damaged ".join([run.state, *run.damaged]) for run in runs]
    return [
        Column("epochs", [one + other for one, other in zip(epochs, best, strict=True)], 4, True),
        Column("age", [age(now - run.changed) for run in runs], 2, True),
        Column("size", [size(run.size) for run in runs], 5, True),
        *([Column(STATE, states, 0)] if {*states} != {FINISHED} else []),
    ]
