"""The comparison of the jobs of a multirun: a table of what differs, and ``comparison.csv`` with every metric."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seqmodels.commands.runs.layout import MAX_WIDTH, Column, fitting, metric_columns, table_of
from seqmodels.commands.runs.rows import means
from seqmodels.commands.tables import console, ordered
from seqmodels.system.durable import write_csv
from seqmodels.training.records.differences import short_names
from seqmodels.training.records.metrics import by_importance
from seqmodels.training.records.reading import LOADER, Metrics, read_run

AT_LEAST = 2  # metrics that are shown however little room there is
SEED = "seed"


def print_comparison(sweep: Path) -> None:
    """Write ``comparison.csv`` with every metric of the jobs below ``sweep``; print those that fit a line.

    Jobs that differ in the seed only are also printed as one row, with the mean and deviation of their metrics.
    """
    folders = job_folders(sweep)
    if not folders:
        return
    names = [str(folder.relative_to(sweep)) for folder in folders]
    jobs = [_overrides(folder) for folder in folders]
    runs = [read_run(folder) for folder in folders]
    results = [run.metrics for run in runs]
    varied = [key for key in dict.fromkeys(key for job in jobs for key in job) if len({j.get(key) for j in jobs}) > 1]
    metrics = list(ordered(dict.fromkeys(name for result in results for name in result)))
    states = [", damaged ".join(["" if run.metrics else "failed", *run.damaged]).strip(", ") for run in runs]
    rows = list(zip(names, jobs, results, states, strict=True))
    write_csv(
        sweep / "comparison.csv",
        ["job", *varied, *metrics, "status"],
        [[name, *_values(job, varied), *_values(result, metrics), state] for name, job, result, state in rows],
    )
    taken = ("job", "status")
    shown = by_importance(metrics)
    columns = [Column("job", names, 0), *_keys(jobs, varied, taken), *metric_columns(results, shown, AT_LEAST)]
    columns += [Column("status", states, 0)] if any(states) else []
    out = console()
    width = min(out.width, MAX_WIDTH)
    fit = fitting(columns, width)
    out.print(table_of(fit))
    if SEED in varied:
        fixed = [key for key in varied if key != SEED]
        groups = _groups(jobs, results, fixed)
        found = [means(group) for group in groups.values()]
        own = [dict(zip(fixed, key, strict=True)) for key in groups]
        counts = Column("jobs", [str(len(group)) for group in groups.values()], 0, True)
        seeds = [*_keys(own, fixed, ("jobs",)), *metric_columns(found, shown, AT_LEAST), counts]
        out.print(table_of(fitting(seeds, width), title="over seeds: mean ± standard deviation"))
    if len(fit) < len(columns):
        count = sum(column.name in metrics for column in fit)
        out.print(f"{count} of {len(metrics)} metrics; all: {sweep / 'comparison.csv'}", soft_wrap=True)
    out.print(f"sweep folder: {sweep}", soft_wrap=True)


def job_folders(sweep: Path) -> list[Path]:
    """Return the folders of the jobs of a multirun, whatever ``hydra.sweep.subdir`` calls them; numbers in order."""
    found = {path.parent.parent for path in sweep.rglob(".hydra/overrides.yaml")} - {sweep}
    found |= {path for path in sweep.iterdir() if path.name.isdigit() and path.is_dir()}
    outer = [folder for folder in found if not found & set(folder.parents)]  # evaluations of a job are below it
    return sorted(outer, key=lambda path: (int(path.name) if path.name.isdigit() else 0, str(path)))


def _keys(jobs: Sequence[Mapping[str, str]], keys: Sequence[str], taken: Sequence[str]) -> list[Column]:
    short = short_names(keys, taken)
    return [Column(short[key], [job.get(key, "") for job in jobs], 1) for key in keys]


def _groups(
    jobs: Sequence[Mapping[str, str]], results: Sequence[Metrics], keys: Sequence[str]
) -> dict[tuple[str, ...], list[Metrics]]:
    """Return the metrics of the jobs that have some, by their values of keys."""
    groups: dict[tuple[str, ...], list[Metrics]] = {}
    for job, result in zip(jobs, results, strict=True):
        if result:
            groups.setdefault(tuple(job.get(key, "") for key in keys), []).append(result)
    return groups


def _overrides(folder: Path) -> dict[str, str]:
    path = folder / ".hydra" / "overrides.yaml"
    lines = yaml.load(path.read_bytes(), LOADER) if path.is_file() else []  # noqa: S506  (a safe loader)
    return dict(str(line).lstrip("+~").partition("=")[::2] for line in lines)


def _values(row: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    return [row.get(key) for key in keys]
