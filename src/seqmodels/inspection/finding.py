"""What looking into a model found: numbers, figures and a sentence; written as JSON and as a page."""

from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmodels.system.durable import write_text
from seqmodels.system.json_text import json_text

STYLE = (
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; } "
    ".plot { overflow-x: auto; }"
)


class Finding(NamedTuple):
    """One result of ``seqmodels explain``."""

    title: str
    sentence: str
    """What was found, in one sentence or two; a verdict names its threshold."""
    arrays: dict[str, NDArray[Any]]
    """What the figures show, by name."""
    figures: dict[str, dict[str, Any]]
    """Plotly figures as plain data, ``{"data": [...], "layout": {...}}``, by their headings."""
    html: str = ""
    """Further content of the page, below the figures; texts in it are escaped."""


def write_finding(finding: Finding, folder: Path, name: str) -> list[Path]:
    """Write ``<name>.json``, with title, sentence and arrays, and the page ``<name>.html``; return both paths.

    Args:
        finding: what was found.
        folder: created if it does not exist.
        name: of the files, without suffix.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, numbers = folder / f"{name}.html", folder / f"{name}.json"
    arrays = {key: value.tolist() for key, value in finding.arrays.items()}
    write_text(numbers, json_text({"title": finding.title, "sentence": finding.sentence, "arrays": arrays}) + "\n")
    write_text(page, page_of(finding))
    return [numbers, page]


def page_of(finding: Finding) -> str:
    """Return a self-contained HTML page of a finding, which fetches nothing."""
    from plotly.io import to_html  # noqa: PLC0415  (takes a second, and only pages need it)

    parts = [f"<h1>{escape(finding.title)}</h1>", f"<p>{escape(finding.sentence)}</p>"]
    for number, (heading, figure) in enumerate(finding.figures.items()):
        plot = to_html(plain(figure), full_html=False, include_plotlyjs=number == 0, validate=False)
        parts += [f"<h2>{escape(heading)}</h2>", f'<div class="plot">{plot}</div>']
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(finding.title)}'
    body = "".join([*parts, finding.html])
    head += f"</title><style>{STYLE}</style>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def plain(figure: Any) -> Any:
    """Return a figure with lists in place of arrays, and null in place of numbers that are not finite."""
    if isinstance(figure, dict):
        return {key: plain(value) for key, value in figure.items()}
    if isinstance(figure, list | tuple | np.ndarray):
        return [plain(value) for value in figure]
    if isinstance(figure, np.generic):
        figure = figure.item()
    return None if isinstance(figure, float) and not np.isfinite(figure) else figure
