"""Write a page as one HTML file, with plotly inside it, compressed."""

import zlib
from base64 import b64encode
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from seqmodels.errors import ConfigError
from seqmodels.inspection.report.blocks import Figure, Page
from seqmodels.system.durable import write_text
from seqmodels.system.json_text import json_text

LEVEL = 6  # of compression; 9 takes half as long again for 0.2 % less


def write_page(path: Path, page: Page) -> None:
    """Write a page; texts are escaped, so that nothing in a data set or a name becomes a part of the page.

    Raises:
        ConfigError: plotly is not installed, or without the script of its figures.
        OSError: the file cannot be written.
    """
    write_text(path, html(page))


def html(page: Page) -> str:
    """Return a page as HTML that fetches nothing: 2 MB, nearly all of it the script that draws figures."""
    script = packed_plotly() if page.figures else ""
    return _template().render(page=page, script=script)


@lru_cache(maxsize=1)
def packed_plotly() -> str:
    """Return the script of plotly, compressed by zlib, in base64; plotly itself, slow to import, is not imported."""
    return b64encode(zlib.compress(plotly_path().read_bytes(), LEVEL)).decode()


def plotly_path() -> Path:
    """Return the file of plotly's script.

    Raises:
        ConfigError: there is none.
    """
    found = find_spec("plotly")
    path = Path(str(found.origin)).parent / "package_data" / "plotly.min.js" if found is not None else None
    if path is None or not path.is_file():
        raise ConfigError("a page with figures needs plotly: pip install 'plotly>=6'")
    return path


def drawn(figure: Figure) -> str:
    """Return a figure as JSON that may stand in a script as it is: without the signs that could end it."""
    text = json_text({"data": figure.data, "layout": figure.layout, "height": figure.height})
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=1)
def _template() -> Any:
    loader = PackageLoader("seqmodels.inspection.report", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["drawn"] = drawn
    return environment.get_template("page.html.jinja")
