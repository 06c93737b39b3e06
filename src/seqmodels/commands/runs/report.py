"""``seqmodels report``: the page of one run again, or a page that compares several."""

import glob
import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from seqmodels.commands.runs.choosing import Listing, choose
from seqmodels.commands.runs.formats import as_csv, as_latex
from seqmodels.commands.runs.layout import value_text
from seqmodels.commands.runs.listing import rows_of
from seqmodels.commands.runs.options import choice, parsed
from seqmodels.commands.runs.rows import Row
from seqmodels.errors import ConfigError
from seqmodels.training.finding import is_called, run_folder, runs_below
from seqmodels.training.records.differences import short_names
from seqmodels.training.records.folders import LOGS, find_runs, is_marked
from seqmodels.training.records.metrics import higher_is_better

if TYPE_CHECKING:
    from seqmodels.inspection.report.blocks import Page
    from seqmodels.inspection.report.comparison import Group

USAGE = """seqmodels report [RUN] [key=value ...]       write report.html of a run: a path, a name, latest, best:NAME
seqmodels report RUN RUN ... [key=value ...] one page that compares runs, or all runs below folders

Runs are given as to seqmodels runs; 'logs/digits/*gru*' means all that match.

  where=[cell=gru,test/accuracy>0.9]   only the runs of which all of this is true
  by=seed                              runs that differ in this key only are one group
  metrics=[test/f1]                    in place of the main metrics
  output=FILE                          by default report.html of the run, or comparison.html where the runs are
  images=svg                           or png: also write each figure as an image, to a folder beside the page;
                                       needs Chromium or Chrome
  paths.log_dir=logs                   the folder of all runs
"""
OPTIONS = ("where", "by", "metrics", "output", "images", "paths.log_dir")
ONLY_COMPARED = ("where", "by", "metrics")
COMPARISON = "comparison.html"

log = logging.getLogger("seqmodels")


def main(tokens: list[str]) -> int:
    """Write the report of a run or of a comparison, and print its path."""
    names, options = parsed("seqmodels report", tokens, OPTIONS)
    images = choice(options, "images", ("svg", "png")) if "images" in options else None
    logs = Path(options.get("paths.log_dir", LOGS))
    folders = _folders(names or ["latest"], logs)
    if options.get("output") and not Path(options["output"]).absolute().parent.is_dir():
        raise ConfigError(f"output={options['output']}: there is no folder {Path(options['output']).parent}")
    from seqmodels.inspection.report.images import write_images  # noqa: PLC0415  (after the command line is checked)
    from seqmodels.inspection.report.page import write_page  # noqa: PLC0415
    from seqmodels.inspection.report.single import REPORT, run_page  # noqa: PLC0415

    if len(folders) == 1:
        if unused := [key for key in ONLY_COMPARED if key in options]:
            raise ConfigError(f"{unused[0]}= is for a comparison, and {folders[0]} is a single run: leave it out")
        page, path = run_page(folders[0]), folders[0] / REPORT
    else:
        page, path = _comparison(folders, options, logs)
    path = Path(options.get("output", path))
    write_page(path, page)
    sys.stdout.write(f"{path}\n")
    if images:
        folder = path.parent / "images"
        sys.stdout.write(f"{len(write_images(page, folder, 'png' if images == 'png' else 'svg'))} images in {folder}\n")
    return 0


def write_after(folder: str | Path) -> None:
    """Write the report of a run that has just ended; if that fails, a warning says why and how to try again."""
    try:
        from seqmodels.inspection.report.single import write_report  # noqa: PLC0415  (imports jinja2)

        write_report(Path(folder))
    except Exception as error:  # the run itself is complete
        log.warning("the report was not written: %s; to try again: seqmodels report %s", _reason(error), folder)


def write_after_evaluation(folder: str | Path, about: Mapping[str, str]) -> None:
    """Write the report of an evaluation that has just ended; if that fails, a warning says why."""
    try:
        from seqmodels.inspection.report.evaluation import write_evaluation  # noqa: PLC0415  (imports jinja2)

        write_evaluation(Path(folder), about)
    except Exception as error:  # the evaluation itself is complete
        log.warning("the report was not written: %s", _reason(error))


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _folders(names: Sequence[str], logs: Path) -> list[Path]:
    """Return the folders of the runs that names, patterns and folders of runs mean.

    Raises:
        ConfigError: one of them means no run.
    """
    found: dict[Path, None] = {}
    for name in names:
        matching = [Path(path) for path in glob.glob(name)] if glob.has_magic(name) else [_place(name, logs)]  # noqa: PTH207
        runs = [folder for place in sorted(matching) for folder in find_runs(place).runs]
        if not runs:
            raise ConfigError(f"seqmodels report: there is no run under {name}")
        found |= dict.fromkeys(runs)
    return [*found]


def _place(name: str, logs: Path) -> Path:
    """Return the folder of a run or of several that a name means."""
    is_run = name == "latest" or name.startswith("best:") or any(is_called(f, name, logs) for f in find_runs(logs).runs)
    path = Path(name)
    if path.is_dir() and is_marked(entry.name for entry in path.iterdir()):
        return path
    return run_folder(name, logs) if is_run else runs_below(name, logs)


def _comparison(folders: Sequence[Path], options: Mapping[str, str], logs: Path) -> "tuple[Page, Path]":
    """Return the page that compares runs, and its usual path."""
    from seqmodels.inspection.report.comparison import Compared, comparison_page  # noqa: PLC0415

    common = Path(os.path.commonpath([folder.absolute().parent for folder in folders]))
    rows = rows_of([folder.absolute() for folder in folders], common, logs.absolute())
    chosen = {key: value for key, value in options.items() if key in ("where", "metrics")}
    by = options.get("by", "seed")
    single, listing = choose(rows, chosen, None), choose(rows, {**chosen, "by": by}, None)
    if len(single.rows) < 2:
        raise ConfigError(f"seqmodels report: a comparison needs at least two runs, got {len(single.rows)}")
    runs = [row.runs[0] for row in single.rows]
    compared = Compared(
        _groups(listing),
        runs,
        [row.name for row in single.rows],
        [{**row.values, **row.metrics} for row in single.rows],
        single.main_keys,
        single.main_metrics,
        by,
        as_latex(listing.rows, listing.main_keys, listing.main_metrics),
        as_csv(single.rows, single.keys, single.metrics),
    )
    return comparison_page(compared, f"Runs in {common.name}"), common / COMPARISON


def _groups(listing: Listing) -> "list[Group]":
    """Return the groups of runs, the best by the main metric first; those without it are the last."""
    from seqmodels.inspection.report.comparison import Group, values_of_group  # noqa: PLC0415

    groups = [Group(name, row.runs) for name, row in zip(_group_names(listing), listing.rows, strict=True)]
    for metric in listing.main_metrics[-1:]:
        sign = -1 if higher_is_better(metric, [run for group in groups for run in group.runs]) else 1
        means = {group.name: fmean(found) for group in groups if (found := values_of_group(group, metric))}
        groups.sort(key=lambda group: sign * means.get(group.name, sign * math.inf))
    return groups


def _group_names(listing: Listing) -> list[str]:
    """Return a name for each row, by the keys that tell them apart; equal ones are numbered."""
    short = short_names(listing.main_keys)

    def name(row: Row) -> str:
        parts = [f"{short[key]}={value_text(row.values.get(key))}" for key in listing.main_keys]
        return " ".join(parts) or row.name or "all"

    names = [name(row) for row in listing.rows]
    return [f"{name} ({names[:i].count(name) + 1})" if names.count(name) > 1 else name for i, name in enumerate(names)]
