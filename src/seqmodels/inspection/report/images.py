"""Write the figures of a page as images, by kaleido, which runs Chromium."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from seqmodels.errors import ConfigError
from seqmodels.inspection.report.blocks import Figure, Page
from seqmodels.inspection.report.figures import label
from seqmodels.inspection.report.page import plotly_path

Format = Literal["png", "svg"]
WIDTH, SMALL = 900, 400  # pixels
SCALE = 2  # of PNG, for print
SCALES = {"scale": [[0, "#f6f8fb"], [0.5, "#7fa9df"], [1, "#0f4a97"]]}
COLOURS = ["#3b7dd8", "#e07b39", "#3a9d5d", "#b0559b", "#9a7b2f", "#d14b4b", "#3f97a3", "#7a6fd0"]


def write_images(page: Page, folder: Path, kind: Format) -> list[Path]:
    """Write each figure of a page to a file of its name in a folder, on white; return their paths.

    Raises:
        ConfigError: kaleido, or Chromium or Chrome, is not installed, or a figure cannot be drawn.
    """
    try:
        import kaleido  # noqa: PLC0415  (an extra)
        from kaleido.errors import BrowserFailedError, ChromeNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("images= needs the package kaleido: pip install 'seqmodels[images]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{figure.name}.{kind}" for figure in page.figures]
    offline = kaleido.PageGenerator(plotly=plotly_path(), mathjax=False)
    drawn = _drawn(page, paths, kind)
    try:
        errors = kaleido.write_fig_from_object_sync(drawn, kopts={"page_generator": offline, "n": 1})
    except (ChromeNotFoundError, BrowserFailedError) as error:
        hint = "apt-get install chromium, or name the program in the environment variable BROWSER_PATH"
        raise ConfigError(f"images= needs Chromium or Chrome, which could not be started: {hint}") from error
    if errors:
        raise ConfigError(f"images={kind}: a figure could not be drawn: {errors[0]}")
    return paths


def _drawn(page: Page, paths: list[Path], kind: Format) -> Iterator[dict[str, Any]]:
    for figure, path in zip(page.figures, paths, strict=True):
        width = figure.width or (SMALL if figure.height < 200 else WIDTH)
        opts = {"format": kind, "width": width, "height": figure.height, "scale": SCALE if kind == "png" else 1}
        yield {"fig": _on_white(figure), "path": path, "opts": opts}


def _on_white(figure: Figure) -> dict[str, Any]:
    """Return a figure with the colours that the page's script gives it in light mode."""
    data: list[dict[str, Any]] = copy.deepcopy(list(figure.data))
    for trace in data:
        meta = trace.pop("meta", None)
        if meta in SCALES:
            trace["colorscale"] = SCALES[meta]
        if meta == "text":
            trace["line"] = {**trace.get("line", {}), "color": "#1d2129"}
    layout: dict[str, Any] = {
        "colorway": COLOURS,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
    }
    layout |= copy.deepcopy(figure.layout)
    layout["legend"] = {"orientation": "h", "y": 1.02, "yanchor": "bottom", **layout.get("legend", {})}
    if figure.title:
        layout |= {"title": {"text": label(figure.title, 90)}, "margin": {"t": 66, **layout.get("margin", {})}}
    for name in ("xaxis", "yaxis"):
        layout[name] = {"gridcolor": "#e3e6ea", "zerolinecolor": "#e3e6ea", "automargin": True, **layout.get(name, {})}
    return {"data": data, "layout": layout}
