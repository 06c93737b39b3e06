"""The commands of the walk-through print what it shows."""

import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Answer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "from_a_file.md"
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
SPACE = re.compile(r"[─━│┃┏┓└┘┡┩╇┳┴\s]+")
TIME = re.compile(r"\[\d{4}-[\d\- :,]+\]\[[\w.]+\]\[INFO\] - |\d{4}-\d\d-\d\d_[\d-]+|\d+\.\d s$|│ seconds .*│")


class Step(NamedTuple):
    """A command and lines that it prints; ``...`` stands for any lines between."""

    command: list[str]
    shown: list[str]


def python() -> str:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(source)


def steps() -> list[Step]:
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            found.append(Step(shlex.split(command), shown))
    return found


def plain(line: str) -> str:
    """Return a line without times, frames of tables and digits of fractions."""
    return SPACE.sub(" ", NUMBER.sub("#", TIME.sub("", line))).strip()


def check(shown: list[str], printed: list[str]) -> None:
    """Check that the lines that are shown are printed in this order, with numbers that are close."""
    rest = iter(printed)
    for line in shown:
        if line.strip() in ("", "..."):
            continue
        match = next((other for other in rest if plain(other) == plain(line)), None)
        assert match is not None, f"{line!r} is not printed (in its place):\n" + "\n".join(printed)
        numbers = (NUMBER.findall(TIME.sub("", text)) for text in (line, match))
        for expected, found in zip(*numbers, strict=True):
            assert math.isclose(float(expected), float(found), rel_tol=0.05, abs_tol=0.02), f"{line!r}: {match!r}"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_command_prints_what_the_page_shows(
    command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    exec(compile(python(), "make.py", "exec"), {})
    for program, *arguments in (step.command for step in steps()):
        assert program in ("seqmodels", "head", "cat"), program
        assert arguments
    for step in steps():
        program, *arguments = step.command
        if program == "seqmodels":
            answer = command(*arguments)
            check(step.shown, (answer.err + answer.out).splitlines())
        else:
            lines = Path(arguments[-1]).read_text(encoding="utf-8").splitlines()
            check(step.shown, lines[: int(arguments[0][1:])] if program == "head" else lines)
