"""Figures of plotly as plain data; the page gives them their colours, in light and dark mode."""

from collections.abc import Sequence
from html import escape
from typing import Any

from seqmodels.inspection.report.blocks import Figure

LABEL = 40  # letters of a label
FEW = 12  # epochs that each have a tick
Trace = dict[str, Any]
Values = Sequence[float | None]


def label(text: str, most: int = LABEL) -> str:
    """Return a text for a figure, shortened, and without what plotly would read as markup."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return escape(short.replace("\n", " "), quote=False)


def line(x: Sequence[Any], y: Values, name: str, **options: Any) -> Trace:
    """Return a line; one of few points has marks."""
    mode = "lines+markers" if len(y) <= 30 else "lines"
    return {"type": "scatter", "mode": mode, "x": list(x), "y": list(y), "name": label(name), **options}


def band(x: Sequence[float], low: Values, high: Values, colour: str, **options: Any) -> Trace:
    """Return a filled band between two curves."""
    outline = [*high, *reversed(low)]
    around = {"fill": "toself", "fillcolor": colour, "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return {"type": "scatter", "mode": "lines", "x": [*x, *reversed(x)], "y": outline, **around, **options}


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": label(title), "standoff": 8}, **options}


def curves(name: str, traces: Sequence[Trace], x: str, y: str = "", **options: Any) -> Figure:
    """Return a figure of lines over one axis; ``options`` are those of :class:`Figure` or its ``yaxis``."""
    few = {"dtick": 1} if x == "epoch" and max(map(len, (trace["x"] for trace in traces)), default=0) <= FEW else {}
    layout = {"xaxis": axis(x, **few), "yaxis": axis(y, **options.pop("yaxis", {})), **options.pop("layout", {})}
    return Figure(name, traces, layout, **options)


def matrix(
    name: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], **options: Any
) -> Figure:
    """Return a heat map whose first row is at the top.

    Args:
        name: of the figure.
        rows, columns: labels; equal ones stay apart.
        values: of each row.
        options: ``x`` and ``y``, titles of the axes; ``texts``, in the cells; ``hover``, plotly's template; and those
            of :class:`Figure`.
    """
    trace: Trace = {"type": "heatmap", "z": [list(row) for row in values], "meta": "scale", "showscale": False}
    if texts := options.pop("texts", None):
        trace |= {"text": texts, "texttemplate": "%{text}"}
    trace["hovertemplate"] = options.pop("hover", "%{y} / %{x}: %{z}<extra></extra>")
    trace |= {"xgap": 1, "ygap": 1} if max(len(rows), len(columns), 1) <= 60 else {}
    layout = {
        "xaxis": _named(options.pop("x", ""), columns, side="bottom", tickangle=-45 if _long(columns) else 0),
        "yaxis": _named(options.pop("y", ""), rows, autorange="reversed"),
        **options.pop("layout", {}),
    }
    return Figure(name, [trace], layout, **options)


def picture(name: str, values: Sequence[Sequence[float]], height: int = 170) -> Figure:
    """Return a small grey picture without axes."""
    hidden = {"visible": False}
    layout: dict[str, Any] = {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "xaxis": {**hidden, "constrain": "domain"},
        "yaxis": {**hidden, "autorange": "reversed"},
    }
    sizes = len(values), len(values[0])
    if max(sizes) <= 2 * min(sizes):  # else its pixels fill the width
        layout["yaxis"] = {**layout["yaxis"], "scaleanchor": "x", "constrain": "domain"}
    trace: Trace = {"type": "heatmap", "z": [list(row) for row in values], "meta": "scale", "showscale": False}
    return Figure(name, [trace | {"hovertemplate": "%{z}<extra></extra>"}], layout, height)


def _named(title: str, names: Sequence[str], **options: Any) -> dict[str, Any]:
    """Return an axis with a label for each number 0, 1, ...: names as positions would merge equal ones."""
    places = list(range(len(names)))
    return axis(title, tickvals=places, ticktext=[label(name, 18) for name in names], showgrid=False, **options)


def _long(names: Sequence[str]) -> bool:
    return len(names) > 12 or sum(map(len, names)) > 40
