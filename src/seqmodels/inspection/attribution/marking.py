"""Texts with coloured tokens, and series with marked steps."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from seqmodels.inspection.charts import DIVERGING, Figure, rounded

FOR, AGAINST = (200, 60, 40), (40, 90, 200)
"""Colours, red and blue: of what speaks for the answer and against it."""


def marked_text(pieces: Sequence[str], weights: Sequence[float], *, space: str = " ", at: int | None = None) -> str:
    """Return a text as HTML, its tokens coloured by weights, with the weight of each where the mouse is over it.

    Args:
        pieces: the tokens; they are escaped.
        weights: one for each token; positive ones are red, negative ones blue.
        space: what stands between two tokens.
        at: the token to underline, such as the one whose tag is explained.

    Raises:
        ValueError: there is not one weight for each token.

    Example:
        >>> marked_text(["<b>"], [0.5]).count("&lt;b&gt;")
        1
    """
    if len(pieces) != len(weights):
        raise ValueError(f"there must be one weight for each of {len(pieces)} tokens, got {len(weights)}")
    most = max(map(abs, weights), default=0) or 1.0
    parts = []
    for number, (piece, weight) in enumerate(zip(pieces, weights, strict=True)):
        red, green, blue = FOR if weight > 0 else AGAINST
        line = "text-decoration:underline;" if number == at else ""
        style = f"background:rgba({red},{green},{blue},{0.7 * abs(weight) / most:.2f});{line}"
        parts.append(f'<span style="{style}" title="{weight:+.3g}">{escape(piece)}</span>')
        if piece.endswith("\n") or piece == "<eos>":
            parts.append("<br>")
    return f'<p style="line-height:1.8;white-space:pre-wrap">{space.join(parts)}</p>'


def marked_series(values: ArrayLike, contributions: ArrayLike, names: Sequence[str], *, most: int = 8) -> Figure:
    """Draw a series with a mark at each step, coloured and sized by its contribution.

    Args:
        values: the series, ``(time, features)``.
        contributions: of the same shape.
        names: of the features.
        most: features that are drawn, those with the largest contributions.

    Example:
        >>> marked_series([[1.0], [2.0]], [[0.5], [-1.0]], ["load"])["data"][0]["name"]
        'load'
    """
    series, weights = np.asarray(values, dtype=float), np.asarray(contributions, dtype=float)
    limit = float(np.abs(weights).max()) or 1.0
    chosen = sorted(np.argsort(-np.abs(weights).sum(0))[:most].tolist())
    data = []
    for feature in chosen:
        marker = {
            "color": rounded(weights[:, feature]),
            "size": rounded(4 + 10 * np.abs(weights[:, feature]) / limit),
            "colorscale": DIVERGING,
            "cmin": -limit,
            "cmax": limit,
            "showscale": feature == chosen[0],
            "colorbar": {
                "title": {"text": "contribution"},
                "orientation": "h",
                "y": -0.3,
                "yanchor": "top",
                "thickness": 12,
            },
        }
        data.append(
            {
                "type": "scatter",
                "meta": "signed",
                "mode": "lines+markers",
                "name": names[feature],
                "x": list(range(len(series))),
                "y": rounded(series[:, feature]),
                "line": {"width": 1},
                "marker": marker,
            }
        )
    layout = {
        "xaxis": {"title": {"text": "step"}},
        "yaxis": {"title": {"text": "value, scaled as in training"}},
        "margin": {"t": 30, "r": 20},
    }
    return {"data": data, "layout": layout}
