"""Tables that commands print at the end: the metrics of a run, and the comparison of the jobs of a sweep."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from seqmodels.system.durable import write_csv
from seqmodels.training.runs import read_json

BASELINES = ("persistence", "seasonal_naive")  # forecasts whose metrics are shown next to those of the model
WIDTH = 160  # for a file or a pipe


def console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a table if there is none."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def print_metrics(metrics: Mapping[str, float], folder: str | Path) -> None:
    """Print the final metrics as a table, with separate columns for naive forecasts, and the run folder."""
    baselines = [prefix for prefix in BASELINES if any(_prefixed(name, prefix) in metrics for name in metrics)]
    table = Table("metric", "value", *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    in_columns = {_prefixed(name, prefix) for name in metrics for prefix in baselines}
    for name, value in _ordered(metrics).items():
        if name not in in_columns:
            columns = (_number(metrics.get(_prefixed(name, prefix))) for prefix in baselines)
            table.add_row(name, _number(value), *columns)
    out = console()
    out.print(table)
    out.print(f"run folder: {folder}", soft_wrap=True, highlight=False, markup=False)


def print_comparison(sweep: Path) -> None:
    """Print a row for each job of a sweep, with the overrides that vary and the results; write ``comparison.csv``."""
    folders = sorted((p for p in sweep.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    if not folders:
        return
    jobs = [_overrides(folder) for folder in folders]
    results = [read_json(f / "metrics.json") if (f / "metrics.json").is_file() else {} for f in folders]
    varied = [key for key in dict.fromkeys(key for job in jobs for key in job) if len({j.get(key) for j in jobs}) > 1]
    names = list(dict.fromkeys(name for result in results for name in _ordered(result)))
    selected = [name for name in names if name.startswith("test/") or "/" not in name] or names
    rows = [
        [
            folder.name,
            *(job.get(key, "") for key in varied),
            *(_number(result.get(name)) for name in selected),
            "" if result else "failed",
        ]
        for folder, job, result in zip(folders, jobs, results, strict=True)
    ]
    header = ["job", *varied, *selected, "status"]
    columns = len(header) - all(results)  # the status is shown only if a job failed
    table = Table(*header[:columns])
    for row in rows:
        table.add_row(*row[:columns])
    out = console()
    out.print(table)
    out.print(f"sweep folder: {sweep}", soft_wrap=True, highlight=False, markup=False)
    write_csv(sweep / "comparison.csv", header, rows)


def _overrides(folder: Path) -> dict[str, str]:
    path = folder / ".hydra" / "overrides.yaml"
    lines = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else []
    assert isinstance(lines, list)
    return dict(str(line).lstrip("+~").partition("=")[::2] for line in lines)


def _prefixed(name: str, prefix: str) -> str:
    """Return the name of a metric for another forecast: ``test/persistence_mse`` for ``test/mse``."""
    stage, _, metric = name.rpartition("/")
    return f"{stage}/{prefix}_{metric}"


def _ordered(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics ordered: test, validation, training, then the rest."""
    order = ["test", "val", "train"]
    rank = {name: order.index(name.split("/")[0]) if name.split("/")[0] in order else 3 for name in metrics}
    return {name: metrics[name] for name in sorted(metrics, key=lambda name: rank[name])}


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"
