"""The comparison of the jobs of a multirun: a table of what differs, and ``comparison.csv`` with every metric."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.cells import cell_len
from rich.table import Table

from seqmodels.commands.tables import BASELINES, console, number, ordered
from seqmodels.system.durable import write_csv
from seqmodels.training.runs import read_json

MAX_WIDTH = 100  # of the table; wider ones are hard to read, also in a file or a pipe
MAX_VALUE = 30  # characters of a value in a line; longer ones are folded
BORDER = 3  # characters between two columns
BEST = "best/val/loss"
LATER = ("parameters", "seconds")
AT_LEAST = 2  # metrics that are shown however little room there is


def print_comparison(sweep: Path) -> None:
    """Write ``comparison.csv`` with every metric of the jobs below ``sweep``; print those that fit a line."""
    folders = job_folders(sweep)
    if not folders:
        return
    names = [str(folder.relative_to(sweep)) for folder in folders]
    jobs = [_overrides(folder) for folder in folders]
    results = [read_json(f / "metrics.json") if (f / "metrics.json").is_file() else {} for f in folders]
    varied = [key for key in dict.fromkeys(key for job in jobs for key in job) if len({j.get(key) for j in jobs}) > 1]
    metrics = list(ordered(dict.fromkeys(name for result in results for name in result)))
    states = ["" if result else "failed" for result in results]
    rows = list(zip(names, jobs, results, states, strict=True))
    write_csv(
        sweep / "comparison.csv",
        ["job", *varied, *metrics, "status"],
        [[name, *_values(job, varied), *_values(result, metrics), state] for name, job, result, state in rows],
    )
    columns = {"job": names} | {key: [job.get(key, "") for job in jobs] for key in varied}
    status = {} if all(results) else {"status": states}
    shown = {name: [_shown(result, name) for result in results] for name in by_importance(metrics)}
    out = console()
    room = min(out.width, MAX_WIDTH) - 1 - sum(_width(*column) for column in (columns | status).items())
    fitting = dict(_fitting(shown, room))
    out.print(_table(columns | fitting | status, right=fitting))
    if len(fitting) < len(metrics):
        out.print(f"{len(fitting)} of {len(metrics)} metrics; all: {sweep / 'comparison.csv'}", soft_wrap=True)
    out.print(f"sweep folder: {sweep}", soft_wrap=True)


def job_folders(sweep: Path) -> list[Path]:
    """Return the folders of the jobs of a multirun, whatever ``hydra.sweep.subdir`` calls them; numbers in order."""
    found = {path.parent.parent for path in sweep.rglob(".hydra/overrides.yaml")} - {sweep}
    found |= {path for path in sweep.iterdir() if path.name.isdigit() and path.is_dir()}
    outer = [folder for folder in found if not found & set(folder.parents)]  # evaluations of a job are below it
    return sorted(outer, key=lambda path: (int(path.name) if path.name.isdigit() else 0, str(path)))


def by_importance(metrics: Sequence[str]) -> list[str]:
    """Return names of metrics: losses, the first metrics of the model on test data, size and time, then the rest.

    Example:
        >>> by_importance(["test/loss", "test/persistence_mse", "test/mse", "val/loss", "seconds", "best/val/loss"])
        ['best/val/loss', 'test/loss', 'test/mse', 'seconds', 'val/loss', 'test/persistence_mse']
    """
    first = [BEST if BEST in metrics else "val/loss", "test/loss"]
    baselines = tuple(f"{prefix}_" for prefix in BASELINES)
    own = [name for name in metrics if name.count("/") == 1 and not name.split("/")[1].startswith(baselines)]
    main = [name for name in own if name.startswith("test/") and name not in first]
    order = [*first, *main[:3], *LATER, *main[3:], *own, *metrics]
    return [name for name in dict.fromkeys(order) if name in metrics]


def _fitting(columns: Mapping[str, Sequence[str]], room: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield columns as long as there is room for them, and the first few in any case."""
    for index, (name, cells) in enumerate(columns.items()):
        room -= _width(name, cells)
        if room < 0 and index >= AT_LEAST:
            return
        yield name, cells


def _width(name: str, cells: Sequence[str]) -> int:
    return BORDER + min(MAX_VALUE, max(map(cell_len, (name, *cells))))


def _table(columns: Mapping[str, Sequence[str]], right: Mapping[str, Any]) -> Table:
    table = Table()
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", max_width=MAX_VALUE)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _overrides(folder: Path) -> dict[str, str]:
    path = folder / ".hydra" / "overrides.yaml"
    lines = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else []
    assert isinstance(lines, list)
    return dict(str(line).lstrip("+~").partition("=")[::2] for line in lines)


def _values(row: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    return [row.get(key) for key in keys]


def _shown(result: Mapping[str, Any], name: str) -> str:
    return number(result[name]) if name in result else ""
