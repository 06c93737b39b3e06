"""The page that compares runs: groups of runs that differ in the seed only, and every run by itself."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seqmodels.errors import ConfigError
from seqmodels.inspection.report.bands import compared_curves
from seqmodels.inspection.report.blocks import Block, Page, Section, Table, Text
from seqmodels.inspection.report.metrics import number
from seqmodels.inspection.report.parallel import Row, parallel_coordinates
from seqmodels.inspection.report.significance import LEVEL, Difference, differences
from seqmodels.training.records.metrics import higher_is_better
from seqmodels.training.records.reading import Run, as_text
from seqmodels.training.records.spread import spread_of

TEST = "Welch's t-test of two sides, p-values corrected for all comparisons of a metric by Holm's method"
NEEDS_SCIPY = "Whether differences are larger than chance is tested with scipy: pip install 'seqmodels[baselines]'"


class Group(NamedTuple):
    """Runs that differ in one key only, under a name that tells them from the other groups."""

    name: str
    runs: tuple[Run, ...]


class Compared(NamedTuple):
    """What a comparison is made of."""

    groups: Sequence[Group]
    runs: Sequence[Run]
    names: Sequence[str]  # of the runs
    rows: Sequence[Row]  # of the runs: values of keys and metrics
    keys: Sequence[str]  # in which the runs differ, those that matter most first
    metrics: Sequence[str]  # the main ones
    by: str  # the key in which runs of a group differ
    latex: str
    csv: str


def comparison_page(compared: Compared, title: str) -> Page:
    """Return the page of a comparison.

    Raises:
        ConfigError: a file of a run is damaged.
    """
    groups, count = compared.groups, len(compared.runs)
    made: list[tuple[str, list[Block]]] = [
        ("Groups", _groups(compared)),
        ("Differences", [block for metric in compared.metrics for block in _differences(compared, metric)]),
        (
            "Learning curves",
            compared_curves({g.name: [run.folder for run in g.runs] for g in groups}, compared.metrics),
        ),
        ("Configurations", _configurations(compared)),
        ("Runs", [_runs(compared)]),
        ("For papers and programs", _formats(compared)),
    ]
    sections = [Section(heading, blocks) for heading, blocks in made if blocks]
    subtitle = f"{count} runs in {len(groups)} groups, over {compared.by}" if len(groups) < count else f"{count} runs"
    return Page(title, subtitle, [], sections)


def values_of_group(group: Group, metric: str) -> list[float]:
    """Return a metric of the runs of a group that have it."""
    return [value for run in group.runs if (value := run.metrics.get(metric)) is not None]


def _groups(compared: Compared) -> list[Block]:
    rows, best = [], []
    for group in compared.groups:
        found = [values_of_group(group, metric) for metric in compared.metrics]
        rows.append([group.name, str(len(group.runs)), *(str(spread_of(values)) if values else "" for values in found)])
    for metric in compared.metrics[-1:]:
        means = {i: spread_of(v).mean for i, g in enumerate(compared.groups) if (v := values_of_group(g, metric))}
        choice = max if higher_is_better(metric, compared.runs) else min
        best = [choice(means, key=lambda index: means[index])] if len(means) > 1 else []
    caption = f"Mean ± standard deviation over {compared.by}."
    caption += f" The best by {compared.metrics[-1]} stands out." if best else ""
    return [Table(["", "runs", *compared.metrics], rows, caption=caption, strong=best)]


def _differences(compared: Compared, metric: str) -> list[Block]:
    values = {group.name: found for group in compared.groups if (found := values_of_group(group, metric))}
    if len(values) < 2:
        return []
    try:
        tested = differences(values, higher=higher_is_better(metric, compared.runs))
    except ImportError:
        return [Text(NEEDS_SCIPY)]
    rows = [
        [
            each.first,
            each.second,
            f"{each.runs[0]}, {each.runs[1]}",
            f"{each.difference:+.4g}",
            _p(each.p),
            _p(each.corrected),
            _verdict(each),
        ]
        for each in tested
    ]
    header = [metric, "compared with", "runs", "difference", "p", "p corrected", ""]
    return [Table(header, rows, left=2, caption=f"{TEST}; {LEVEL:.0%} is the level.")]


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _verdict(each: Difference) -> str:
    if min(each.runs) < 2:
        return "too few runs to tell"
    if each.corrected is None:
        return "no spread to compare with"
    return "larger than the spread" if each.corrected < LEVEL else "within the spread"


def _configurations(compared: Compared) -> list[Block]:
    if not compared.metrics:
        return []
    metric = compared.metrics[-1]
    keys = [key for key in compared.keys if key != compared.by]
    figure = parallel_coordinates(compared.rows, keys, metric, compared.names)
    if figure is None:
        return []
    better = "blue" if higher_is_better(metric, compared.runs) else "orange"
    return [
        figure._replace(
            caption=f"A line for each run: what differs, and {metric} on the right; {better} ones are better."
        )
    ]


def _runs(compared: Compared) -> Table:
    keys, metrics = compared.keys, compared.metrics
    rows = [
        [name, *(as_text(row.get(key)) for key in keys), *(_metric(row, metric) for metric in metrics), run.state]
        for name, row, run in zip(compared.names, compared.rows, compared.runs, strict=True)
    ]
    return Table(["run", *keys, *metrics, ""], rows, left=1 + len(keys))


def _metric(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number, got {value!r}")
    return "" if value is None else number(value)


def _formats(compared: Compared) -> list[Block]:
    return [Text(compared.latex, folded="LaTeX (booktabs)"), Text(compared.csv, folded="CSV")]
