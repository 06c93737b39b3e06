"""The commands of the walk-throughs print what they show."""

import math
import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Answer

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILE = re.compile(r"`([\w./]+)`:\n\n```(?:python|yaml)\n(.*?)```", flags=re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
SPACE = re.compile(r"[─━│┃┏┓└┘┡┩╇┳┴┌┐┬├┤┼\s]+")
TIME = re.compile(
    r"\[\d{4}-[\d\- :,]+\]\[\w+(?:\.\w+)*\]\[[A-Z]+\] - |\d{4}-\d\d-\d\d_[\d-]+|<time>"
    r"|(?<![\w.])\d+(?:\.\d)? (?:s|min|[kM]B)\b|, seconds .*"
)


class Step(NamedTuple):
    """A command and lines that it prints; ``...`` stands for any lines between."""

    command: list[str]
    shown: list[str]


def files(page: str) -> dict[str, str]:
    """Return the files of a page: blocks after a line that ends with their name and a colon."""
    return dict(FILE.findall(page))


def steps(page: str) -> list[Step]:
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL):
        for part in re.split(r"^\$ ", re.sub(r" \\\n +", " ", block), flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            found.append(Step(shlex.split(command), shown))
    return found


def plain(line: str) -> str:
    """Return a line without times, sizes of files, frames of tables and digits of fractions."""
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


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["from_a_file", "from_a_cell"])
def test_every_command_prints_what_the_page_shows(
    name: str, command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.syspath_prepend(Path.cwd())
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for path, text in files(page).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    for program, *arguments in (step.command for step in steps(page)):
        assert program in ("seqmodels", "python", "head", "cat"), program
        assert arguments
    for step in steps(page):
        program, *arguments = step.command
        if program == "seqmodels":
            answer = command(*arguments)
            check(step.shown, (answer.err + answer.out).splitlines())
        elif program == "python":
            capsys.readouterr()
            runpy.run_path(arguments[0], run_name="__main__")
            check(step.shown, capsys.readouterr().out.splitlines())
        else:
            lines = Path(arguments[-1]).read_text(encoding="utf-8").splitlines()
            check(step.shown, lines[: int(arguments[0][1:])] if program == "head" else lines)
