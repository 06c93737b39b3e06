"""Parallel coordinates of runs: what differs between their configurations, and how well each did."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqmodels.inspection.report.blocks import Figure
from seqmodels.inspection.report.figures import Trace, label
from seqmodels.inspection.report.scales import Scale, colour_of
from seqmodels.training.records.reading import as_text

MOST_KEYS, MOST_TICKS = 10, 12

Row = Mapping[str, Any]


def parallel_coordinates(rows: Sequence[Row], keys: Sequence[str], metric: str, names: Sequence[str]) -> Figure | None:
    """Return a figure with an axis for each key and for the metric, and a line for each run that has the metric.

    It is drawn as lines, as plotly's own needs WebGL, which not every browser has.

    Args:
        rows: what each run has under each key and the metric.
        keys: the keys; at most ten are drawn.
        metric: name of the metric, which also colours the lines.
        names: of the runs.
    """
    known = [(row, name) for row, name in zip(rows, names, strict=True) if row.get(metric) is not None]
    keys = [*keys[:MOST_KEYS], metric]
    if len(known) < 2 or len(keys) < 2:
        return None
    scales = [Scale.of([row.get(key) for row, _ in known]) for key in keys]
    traces: list[Trace] = []
    for row, name in known:
        heights = [scale.height(row.get(key)) for scale, key in zip(scales, keys, strict=True)]
        about = "<br>".join([label(name), *(f"{label(key)}: {label(as_text(row.get(key)))}" for key in keys)])
        colour = colour_of(heights[-1])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(range(len(keys))),
                "y": heights,
                "line": {"width": 1.6, "color": colour, "shape": "spline", "smoothing": 0.6},
                "marker": {"size": 5, "color": colour},
                "hovertext": about,
                "hoverinfo": "text",
                "showlegend": False,
            }
        )
    return Figure("parallel", traces, _layout(keys, scales), 420)


def _layout(keys: Sequence[str], scales: Sequence[Scale]) -> dict[str, Any]:
    lines = [
        {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "line": {"width": 1, "color": "#8a93a3"}}
        for place in range(len(keys))
    ]
    ticks = [
        {
            "x": place,
            "y": height,
            "text": label(text, 16),
            "showarrow": False,
            "xanchor": "right",
            "xshift": -5,
            "font": {"size": 11},
        }
        for place, scale in enumerate(scales)
        for height, text in scale.ticks(MOST_TICKS)
    ]
    return {
        "shapes": lines,
        "annotations": ticks,
        "xaxis": {
            "tickvals": list(range(len(keys))),
            "ticktext": [label(key, 22) for key in keys],
            "showgrid": False,
            "zeroline": False,
            "range": [-0.6, len(keys) - 0.8],
        },
        "yaxis": {"visible": False, "range": [-0.06, 1.06]},
        "margin": {"l": 10, "r": 10, "t": 20, "b": 40},
    }
