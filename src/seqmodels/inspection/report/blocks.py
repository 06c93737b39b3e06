"""What a page consists of: sections of tables, figures, texts and examples, as plain values that a template writes."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """A table; cells are texts. Columns from ``left`` on are aligned to the right, as numbers are."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    caption: str = ""
    strong: Sequence[int] = ()  # rows that stand out
    kind: str = "table"


class Figure(NamedTuple):
    """A figure of plotly as plain data; ``name`` is that of its file if it is written as an image."""

    name: str
    data: Sequence[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 320
    caption: str = ""
    width: int = 0  # at most; 0: that of the page
    title: str = ""  # above it
    kind: str = "figure"


class Figures(NamedTuple):
    """Figures side by side where there is room."""

    figures: Sequence[Figure]
    kind: str = "figures"


class Text(NamedTuple):
    """A paragraph, or with ``code`` a text as it is; a long one is ``folded`` under its title."""

    text: str
    code: bool = False
    folded: str = ""
    kind: str = "text"


class Word(NamedTuple):
    """A word with what is right for it, and what was predicted if that is something else."""

    text: str
    right: str
    wrong: str = ""


class Example(NamedTuple):
    """One row of the data: lines of a name and a text each, with a figure of it or its words."""

    title: str
    lines: Sequence[tuple[str, str]] = ()
    figure: Figure | None = None
    words: Sequence[Word] = ()


class Examples(NamedTuple):
    """Rows of the data side by side."""

    examples: Sequence[Example]
    caption: str = ""
    kind: str = "examples"


class Tile(NamedTuple):
    """A number that stands at the top of a page, and what it is to be compared with."""

    name: str
    value: str
    note: str = ""


class Markup(NamedTuple):
    """HTML that stands in the page as it is: whoever makes it escapes what users wrote."""

    html: str
    kind: str = "markup"


Block = Table | Figure | Figures | Text | Examples | Markup


class Section(NamedTuple):
    """A part of a page under a heading; without one if ``title`` is empty."""

    title: str
    blocks: Sequence[Block]


class Page(NamedTuple):
    """A whole page."""

    title: str
    subtitle: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]

    @property
    def figures(self) -> list[Figure]:
        """All figures, in the order of the page."""
        found: list[Figure] = []
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Figure):
                    found.append(block)
                elif isinstance(block, Figures):
                    found += block.figures
                elif isinstance(block, Examples):
                    found += [example.figure for example in block.examples if example.figure is not None]
        return found
