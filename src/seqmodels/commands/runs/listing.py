"""``seqmodels runs``: a table of runs, the path of one of them, or ``seqmodels runs delete``."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqmodels.commands.runs import formats
from seqmodels.commands.runs.choosing import Listing, choose
from seqmodels.commands.runs.deleting import delete
from seqmodels.commands.runs.options import choice, parsed
from seqmodels.commands.runs.printing import print_listing
from seqmodels.commands.runs.rows import Row
from seqmodels.errors import ConfigError
from seqmodels.system.durable import write_text
from seqmodels.training.finding import is_called, newest, run_folder, runs_below
from seqmodels.training.records.differences import values_of
from seqmodels.training.records.folders import LOGS, find_runs, given_name
from seqmodels.training.records.reading import read_run

USAGE = """seqmodels runs [NAME] [key=value ...]            a table of the runs in logs/NAME, or below any folder
seqmodels runs latest|best:NAME|RUN              the path of one run: cd "$(seqmodels runs latest)"
seqmodels runs delete RUN ... [yes=true]         delete runs; without yes=true, list what would be deleted
seqmodels runs delete where=[...] [older=30d]    delete all runs that are so

The table has what differs between the configurations of the runs, and their main metrics. The trials of a sweep are
listed by the folder of the sweep.

  where=[cell=gru,test/accuracy>0.9]   the runs of which all of this is true: =, !=, <, <=, >, >=; quote it in a shell
  older=30d                            those that ended before: 90min, 12h, 30d, 2w
  sort=test/accuracy                   by a metric, best first; a key; age (newest first), size, epochs, state, run
  descending=true                      or false: in place of the order that fits what is sorted by
  metrics=[test/f1,val/loss]           in place of the main metrics
  by=seed                              runs that differ in the seed only as one row: mean ± standard deviation
  limit=20                             rows; null for all, as in the other formats
  format=table                         or csv, json (both with all that differs and all metrics), latex (booktabs)
  output=FILE                          a file in place of the terminal; its name may tell the format
  paths.log_dir=logs                   the folder of all runs
"""
OPTIONS = ("where", "older", "sort", "descending", "metrics", "by", "limit", "format", "output", "paths.log_dir")
LIMIT = 20  # rows of a table on a terminal
MOST_SWEEPS = 3  # that are named


def main(tokens: list[str]) -> int:
    """List runs, print the path of one, or delete some."""
    if {"-h", "--help"} & set(tokens):
        sys.stdout.write(USAGE)
        return 0
    if tokens[:1] == ["delete"]:
        return delete(tokens[1:])
    names, options = parsed("seqmodels runs", tokens, OPTIONS)
    if len(names) > 1:
        raise ConfigError(f"seqmodels runs takes one name, got {' '.join(names)}; see seqmodels runs --help")
    logs, kind = Path(options.get("paths.log_dir", LOGS)), _format(options)
    choice(options, "descending", ("false", "true"))
    place = _place(names[0], logs) if names else logs
    if place is None:
        sys.stdout.write(f"{run_folder(names[0], logs).absolute()}\n")
        return 0
    _list(place, logs, options, kind)
    return 0


def _list(place: Path, logs: Path, options: Mapping[str, str], kind: str) -> None:
    """Print the runs below a folder, or write them to a file."""
    found = find_runs(place)
    common = Path(os.path.commonpath(folder.parent for folder in found.runs)) if found.runs else place
    listing = choose(rows_of(found.runs, common, logs), options, LIMIT if kind == "table" else None)
    if kind != "table":
        _write(listing, kind, options.get("output"))
        return
    count, *notes = listing.notes
    notes = [f"{count} in {common}", *notes]
    notes += [f"the trials of a sweep: seqmodels runs {folder}" for folder in found.sweeps[-MOST_SWEEPS:]]
    print_listing(listing, notes)


def rows_of(folders: Sequence[Path], place: Path, logs: Path) -> list[Row]:
    """Read runs as rows, under the name by which ``run=`` finds each, or under its path below ``place``."""
    called: dict[str, list[Path]] = {}
    for folder in find_runs(logs).runs:
        called.setdefault(given_name(folder), []).append(folder)
    found = {newest(same): name for name, same in called.items() if is_called(same[0], name, logs)}
    names = [found.get(folder) or folder.relative_to(place).as_posix() for folder in folders]
    runs = map(read_run, folders)
    return [Row(name, (run,), values_of(run), run.metrics) for name, run in zip(names, runs, strict=True)]


def _place(name: str, logs: Path) -> Path | None:
    """Return the folder whose runs a name means, or None if it names one run."""
    if name == "latest" or name.startswith("best:"):
        return None
    try:
        return runs_below(name, logs)
    except ConfigError as error:
        if any(is_called(folder, name, logs) for folder in find_runs(logs).runs):
            return None
        raise ConfigError(f"seqmodels runs {error}") from error


def _format(options: Mapping[str, str]) -> str:
    output = options.get("output")
    by_name = {"format": formats.SUFFIXES.get(Path(output).suffix, "table")} if output else {}
    kind = choice({**by_name, **options}, "format", formats.FORMATS)
    if output and not Path(output).absolute().parent.is_dir():
        raise ConfigError(f"output={output}: there is no folder {Path(output).parent}")
    if output and kind == "table":
        raise ConfigError(f"output={output}: its name must end in {', '.join(formats.SUFFIXES)}, or give format=")
    return kind


def _write(listing: Listing, kind: str, output: str | None) -> None:
    """Write a listing in a format for programs, to standard output or to a file."""
    if kind == "latex":
        text = formats.as_latex(listing.rows, listing.main_keys, listing.main_metrics)
    elif kind == "json":
        text = formats.as_json(listing.rows, listing.keys)
    else:
        text = formats.as_csv(listing.rows, listing.keys, listing.metrics)
    if output is None:
        sys.stdout.write(text)
        return
    write_text(Path(output), text)
    sys.stdout.write(f"{len(listing.rows)} rows in {output}\n")
