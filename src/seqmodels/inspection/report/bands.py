"""Learning curves of groups of runs: the mean over the runs of each, in a band of one standard deviation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from seqmodels.inspection.report.blocks import Block, Figure, Figures
from seqmodels.inspection.report.figures import Trace, band, curves, line
from seqmodels.inspection.report.history import Curve, read_history

COLOURS = (
    "59,125,216",
    "224,123,57",
    "58,157,93",
    "176,85,155",
    "154,123,47",
    "209,75,75",
    "63,151,163",
    "122,111,208",
)
"""Red, green and blue of each group, in the order of the page's own colours."""

MOST = 12  # groups that are drawn
HEIGHT, LINE = 380, 16  # pixels of the figure with the legend, and of a line of that
CAPTION = "Mean and standard deviation over the runs of a group that lasted as long."


def compared_curves(groups: Mapping[str, Sequence[Path]], metrics: Sequence[str]) -> list[Block]:
    """Return figures of the losses and of the main metrics in validation, with a curve for each group.

    Args:
        groups: folders of the runs of each group, by its name; the first 12 are drawn.
        metrics: names of the main metrics.

    Raises:
        ConfigError: a ``metrics.csv`` is damaged.
    """
    shown = {name: [read_history(folder) for folder in folders] for name, folders in list(groups.items())[:MOST]}
    main = [f"val/{name.rpartition('/')[2]}" for name in metrics]
    names = dict.fromkeys(["val/loss", "train/loss", *main])
    figures = [figure for name in names if (figure := _figure(name, shown)) is not None]
    several = any(len(folders) > 1 for folders in groups.values())
    notes = [CAPTION] if several else []
    notes += [f"The first {MOST} of {len(groups)} groups."] if len(groups) > MOST else []
    if not figures:
        return []
    first, *others = figures
    others = [figure._replace(layout={**figure.layout, "showlegend": False}, height=280) for figure in others]
    legend = first._replace(caption=" ".join(notes), height=HEIGHT + LINE * (len(shown) // 3))
    return [legend, *([Figures(others)] if others else [])]


def _figure(name: str, groups: Mapping[str, Sequence[Mapping[str, Curve]]]) -> Figure | None:
    found = {group: [each[name] for each in runs if name in each] for group, runs in groups.items()}
    known = [curve for runs in found.values() for curve in runs]
    if not known:
        return None
    by_epoch = all(curve.by_epoch for curve in known)
    traces: list[Trace] = []
    for index, (group, runs) in enumerate(found.items()):
        if runs:
            traces += _traces(group, runs, COLOURS[index % len(COLOURS)], by_epoch=by_epoch)
    layout = {"hovermode": "x unified"}
    return curves(f"compared_{name.replace('/', '_')}", traces, "epoch" if by_epoch else "step", name, layout=layout)


def _traces(group: str, runs: Sequence[Curve], colour: str, *, by_epoch: bool) -> list[Trace]:
    at: dict[float, list[float]] = {}
    for curve in runs:
        for x, value in zip(curve.x if by_epoch else curve.steps, curve.values, strict=True):
            at.setdefault(x, []).append(value)
    places = [x for x in sorted(at) if len(at[x]) >= min(2, len(runs))]
    means = [mean(at[x]) for x in places]
    own = {"line": {"color": f"rgb({colour})"}, "legendgroup": group}
    counts = [
        f"{value:.4g}" + (f" ± {stdev(at[x]):.2g}, {len(at[x])} runs" if len(at[x]) > 1 else "")
        for x, value in zip(places, means, strict=True)
    ]
    traces = [line(places, means, group, **own, text=counts, hovertemplate="%{text}")]
    if len(runs) > 1:
        spread = [stdev(at[x]) for x in places]
        low, high = ([m + sign * s for m, s in zip(means, spread, strict=True)] for sign in (-1, 1))
        traces.insert(0, band(places, low, high, f"rgba({colour},.18)", legendgroup=group))
    return traces
