"""``seqmodels cells``: list every cell with its paper, its equations and the back-ends that run it on this machine."""

import inspect
import re
import sys
from pathlib import Path

from omegaconf import OmegaConf
from rich.table import Table

from seqmodels.commands.tables import console
from seqmodels.config.files import config_folder

USAGE = """seqmodels cells

Lists every cell: its class, its cell= option, paper, equations, and the back-ends that run it on this machine.
"""
SYMBOLS = {
    r"\sigma": "σ",  # noqa: RUF001  (letters in equations)
    r"\tanh": "tanh",
    r"\odot": "⊙",
    r"\top": "T",
    "&=": "=",
    r"\alpha": "α",  # noqa: RUF001
    r"\beta": "β",
    r"\\": "",
}


def main(tokens: list[str]) -> int:
    """Print the table of cells."""
    if tokens:
        sys.stdout.write(USAGE)
        return 2
    import torch  # noqa: PLC0415  (slow, and not needed for help)

    from seqmodels.backends import BACKENDS  # noqa: PLC0415
    from seqmodels.config.build import build  # noqa: PLC0415

    table = Table("cell", "cell=", "paper", "equations", "back-ends", show_lines=True)
    for path in options():
        cell = build(OmegaConf.load(path))(3)
        document = inspect.getdoc(type(cell)) or ""
        x = torch.zeros(1, 2, 3)
        # fused runs every cell of this package; asking it derives and compiles kernels, for all of them a minute
        running = [name for name, each in BACKENDS.items() if name == "fused" or each.refuses(cell, x) is None]
        table.add_row(type(cell).__name__, path.stem, paper(document), equations(document), ", ".join(running))
    console().print(table)
    return 0


def options() -> list[Path]:
    """Return the configuration files of the cells in this package."""
    return sorted(path for path in (config_folder() / "cell").glob("*.yaml") if path.stem != "own")


def paper(document: str) -> str:
    """Return the first citation of a docstring: the first parenthesis that contains a year."""
    cited = re.search(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)", " ".join(document.split()))
    return cited.group(1) if cited else ""


def equations(document: str) -> str:
    """Return the equations of a docstring as plain text, one per line."""
    block = document.partition(".. math::")[2].lstrip("\n")
    lines: list[str] = []
    for line in block.splitlines():
        if line.strip() and not line.startswith(" "):
            break
        lines.append(line.strip())
    return "\n".join(_plain(line) for line in lines if line)


def _plain(line: str) -> str:
    for symbol, text in SYMBOLS.items():
        line = line.replace(symbol, text)
    line = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\1 / (\2)", line)
    line = re.sub(r"\\mathrm\{(\w+)\}|\\text\{(\w+)\}", r"\1\2", line)
    line = re.sub(r"_\{(\w+)\}", r"_\1", line)
    return " ".join(line.split())
