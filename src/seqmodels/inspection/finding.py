"""What looking into a model found: numbers, figures and a sentence; written as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmodels.inspection.report.blocks import Figure, Page, Section
from seqmodels.inspection.report.page import html
from seqmodels.system.durable import write_text
from seqmodels.system.json_text import json_text

HEIGHT = 320  # pixels of a figure that has none of its own


class Finding(NamedTuple):
    """One result of ``seqmodels explain``."""

    title: str
    sentence: str
    """What was found, in one sentence or two; a verdict names its threshold."""
    arrays: dict[str, NDArray[Any]]
    """What the figures show, by name."""
    figures: dict[str, dict[str, Any]]
    """Plotly figures as plain data, ``{"data": [...], "layout": {...}}``, by their headings."""
    sections: Sequence[Section] = ()
    """Further parts of the page, below the figures."""


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
    figures = [
        Figure(
            f"figure_{number}",
            plain(drawn["data"]),
            plain(drawn["layout"]),
            height=drawn["layout"].get("height", HEIGHT),
            title=heading,
        )
        for number, (heading, drawn) in enumerate(finding.figures.items(), start=1)
    ]
    return html(Page(finding.title, finding.sentence, (), [Section("", figures), *finding.sections]))


def plain(figure: Any) -> Any:
    """Return a figure with lists in place of arrays, and null in place of numbers that are not finite."""
    if isinstance(figure, dict):
        return {key: plain(value) for key, value in figure.items()}
    if isinstance(figure, list | tuple | np.ndarray):
        return [plain(value) for value in figure]
    if isinstance(figure, np.generic):
        figure = figure.item()
    return None if isinstance(figure, float) and not np.isfinite(figure) else figure
