"""Plotly figures as plain dicts, which a page, ``json`` or ``plotly.graph_objects.Figure`` reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seqmodels.inspection.report.figures import label

Figure = dict[str, Any]

DIVERGING = [[0, "#285ac8"], [0.5, "#f6f8fb"], [1, "#c83c28"]]
"""Blue below 0, red above; a page in dark mode has its own, by the key ``meta`` of the trace."""


def heat_map(
    values: ArrayLike,
    *,
    x: Sequence[str] = (),
    y: Sequence[str] = (),
    x_title: str = "step",
    y_title: str = "unit",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw ``values (rows, columns)``.

    Args:
        values: the array; row 0 is at the top.
        x, y: names of the columns and rows; their numbers by default.
        x_title, y_title: of the axes.
        limits: values of the ends of the scale; those of the array by default. Around 0 the scale diverges.

    Example:
        >>> heat_map([[0.0, 1.0], [1.0, 0.0]], limits=(0.0, 1.0))["data"][0]["type"]
        'heatmap'
    """
    array = np.asarray(values, dtype=float)
    low, high = limits or (float(np.nanmin(array)), float(np.nanmax(array)))
    if limits is None and low < 0 < high:
        low, high = -max(-low, high), max(-low, high)
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": rounded(array),
        "zmin": low,
        "zmax": high,
        **({"colorscale": DIVERGING, "meta": "signed"} if low < 0 < high else {"colorscale": "Viridis"}),
    }
    layout = _axes(x_title, y_title)
    layout["yaxis"]["autorange"] = "reversed"
    for axis, names in (("x", x), ("y", y)):
        if names:  # at their numbers, since the same name may occur several times
            trace[f"{axis}"] = list(range(len(names)))
            layout[f"{axis}axis"] |= {"tickvals": list(range(len(names))), "ticktext": list(map(label, names))}
    return {"data": [trace], "layout": layout}


def lines(series: Mapping[str, ArrayLike], *, x: ArrayLike | None = None, x_title: str, y_title: str) -> Figure:
    """Draw one line for each of some series, all over the same ``x``, 0, 1, 2, ... by default.

    Example:
        >>> [line["name"] for line in lines({"f": [0.5, 0.6]}, x_title="step", y_title="mean")["data"]]
        ['f']
    """
    data = []
    for name, values in series.items():
        array = np.asarray(values, dtype=float)
        at = np.arange(len(array)) if x is None else np.asarray(x)
        data.append({"type": "scatter", "mode": "lines", "name": name, "x": at.tolist(), "y": rounded(array)})
    return {"data": data, "layout": _axes(x_title, y_title)}


def over_each_other(left: Figure, right: Figure) -> Figure:
    """Draw two figures over one ``x`` with an axis each, on the left and on the right.

    Example:
        >>> one, other = (lines({name: [0, 1]}, x_title="step", y_title=name) for name in "ab")
        >>> over_each_other(one, other)["layout"]["yaxis2"]["title"]
        {'text': 'b'}
    """
    second = {**right["layout"]["yaxis"], "overlaying": "y", "side": "right", "showgrid": False}
    data = [*left["data"], *({**trace, "yaxis": "y2"} for trace in right["data"])]
    return {"data": data, "layout": {**left["layout"], "yaxis2": second}}


def points(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    x_title: str,
    y_title: str,
    text: str = "unit",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw points ``(x, y)`` of several series; each shows its number behind ``text`` where the mouse is over it.

    Args:
        series: the points, by name.
        x_title, y_title: of the axes.
        text: what stands before the number of a point.
        limits: of both axes; those of the points by default.

    Example:
        >>> points({"i": ([0.1], [0.2])}, x_title="low", y_title="high")["data"][0]["text"]
        ['unit 0']
    """
    data = []
    for name, (x, y) in series.items():
        across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        names = [f"{text} {number}" for number in range(len(across))]
        data.append(
            {"type": "scatter", "mode": "markers", "name": name, "x": rounded(across), "y": rounded(up), "text": names}
        )
    layout = _axes(x_title, y_title)
    if limits is not None:
        margin = 0.02 * (limits[1] - limits[0])  # so that points at the ends are whole
        for axis in ("xaxis", "yaxis"):
            layout[axis]["range"] = [limits[0] - margin, limits[1] + margin]
    return {"data": data, "layout": layout}


def bars(heights: Mapping[str, ArrayLike], *, x: Sequence[Any], x_title: str, y_title: str) -> Figure:
    """Draw groups of bars, one group for each of ``x``.

    Example:
        >>> bars({"training": [1, 2]}, x=["a", "b"], x_title="word", y_title="share")["data"][0]["y"]
        [1.0, 2.0]
    """
    data = [
        {"type": "bar", "name": name, "x": list(x), "y": rounded(np.asarray(values, dtype=float))}
        for name, values in heights.items()
    ]
    return {"data": data, "layout": {"barmode": "group", **_axes(x_title, y_title)}}


def _axes(x_title: str, y_title: str) -> dict[str, Any]:
    axes = {"xaxis": {"title": {"text": x_title}}, "yaxis": {"title": {"text": y_title}}}
    return {**axes, "margin": {"t": 30, "r": 20}}


def rounded(array: ArrayLike) -> list[Any]:
    """Return an array as lists of numbers with five significant digits, which pictures need; NaN becomes None.

    Example:
        >>> rounded([1 / 3, float("nan")])
        [0.33333, None]
    """
    values = np.asarray(array, dtype=float)
    found: list[Any] = [
        rounded(part) if values.ndim > 1 else (float(f"{part:.5g}") if np.isfinite(part) else None) for part in values
    ]
    return found
