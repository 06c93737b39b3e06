"""What commands print last: the metrics of a run, and the comparison of the jobs of a sweep."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from seqmodels.system.durable import write_csv
from seqmodels.training.runs import read_json

BASELINES = ("persistence", "seasonal_naive")  # forecasts whose metrics stand beside those of the model
WIDTH = 160  # of a file or a pipe, which has none


def console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a table where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


def print_metrics(metrics: Mapping[str, float], folder: str | Path) -> None:
    """Print the final metrics as a table, those of naive forecasts in columns of their own, then the run's folder."""
    beside = [prefix for prefix in BASELINES if any(_beside(name, prefix) in metrics for name in metrics)]
    table = Table("metric", "value", *beside)
    for column in table.columns[1:]:
        column.justify = "right"
    folded = {_beside(name, prefix) for name in metrics for prefix in beside}
    for name, value in _ordered(metrics).items():
        if name not in folded:
            table.add_row(name, _number(value), *(_number(metrics.get(_beside(name, prefix))) for prefix in beside))
    out = console()
    out.print(table)
    out.print(f"run folder: {folder}", soft_wrap=True, highlight=False, markup=False)


def print_comparison(sweep: Path) -> None:
    """Print one row for each job of a sweep: what was varied, what came of it; write it as ``comparison.csv`` too."""
    folders = sorted((p for p in sweep.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    if not folders:
        return
    jobs = [_overrides(folder) for folder in folders]
    results = [read_json(f / "metrics.json") if (f / "metrics.json").is_file() else {} for f in folders]
    varied = [key for key in dict.fromkeys(key for job in jobs for key in job) if len({j.get(key) for j in jobs}) > 1]
    names = list(dict.fromkeys(name for result in results for name in _ordered(result)))
    shown = [name for name in names if name.startswith("test/") or "/" not in name] or names
    rows = [
        [
            folder.name,
            *(job.get(key, "") for key in varied),
            *(_number(result.get(name)) for name in shown),
            "" if result else "failed",
        ]
        for folder, job, result in zip(folders, jobs, results, strict=True)
    ]
    header = ["job", *varied, *shown, "status"]
    columns = len(header) - all(results)  # the status is worth a column where a job failed
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


def _beside(name: str, prefix: str) -> str:
    """Return what a metric is called of another forecast: ``test/persistence_mse`` for ``test/mse``."""
    stage, _, metric = name.rpartition("/")
    return f"{stage}/{prefix}_{metric}"


def _ordered(metrics: Mapping[str, float]) -> dict[str, float]:
    """Put test metrics first, then validation, then training, then the rest."""
    order = ["test", "val", "train"]
    rank = {name: order.index(name.split("/")[0]) if name.split("/")[0] in order else 3 for name in metrics}
    return {name: metrics[name] for name in sorted(metrics, key=lambda name: rank[name])}


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"
