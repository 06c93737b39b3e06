"""The floors of ``docs/architecture.md``: a file imports only from lower ones; those at the bottom need torch alone."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import seqmodels

ROOT = Path(__file__).resolve().parents[1]
ROWS = re.findall(
    r"^\| (\d+) \| (`.*?`) \|", (ROOT / "docs" / "architecture.md").read_text("utf-8"), flags=re.MULTILINE
)
"""The table of floors: the number of each row, and its packages."""

ROW = {part: row for row, (_, parts) in enumerate(ROWS) for part in re.findall(r"`(\w+)`", parts)}
FLOOR = {part: int(ROWS[row][0]) for part, row in ROW.items()}
FIRST_WITH_LIGHTNING, FIRST_WITH_HYDRA = 5, 6
SOURCES = Path(seqmodels.__file__).parent
FILES = sorted(
    path.relative_to(SOURCES) for path in SOURCES.rglob("*.py") if path.parent != SOURCES or path.stem != "__init__"
)


def imports(file: Path) -> set[str]:
    """Return the dotted names of the modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((SOURCES / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            assert node.module is not None
            from_package = node.module == "seqmodels"
            names |= {f"seqmodels.{alias.name}" for alias in node.names} if from_package else {node.module}
    return names


@pytest.fixture(scope="module")
def imported() -> dict[Path, set[str]]:
    """What each file imports."""
    return {file: imports(file) for file in FILES}


def part_of(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def test_every_package_has_a_floor_and_every_floor_its_packages() -> None:
    assert set(ROW) == {part_of(file) for file in FILES}
    assert [int(number) for number, _ in ROWS] == sorted(int(number) for number, _ in ROWS)


def test_a_file_imports_only_from_lower_floors(imported: dict[Path, set[str]]) -> None:
    wrong = {}
    for file, names in imported.items():
        part = part_of(file)
        ours = {name.split(".")[1] for name in names if name.startswith("seqmodels.")} & set(ROW)
        wrong[str(file)] = {other for other in ours - {part} if ROW[other] >= ROW[part]}
    assert {file: parts for file, parts in wrong.items() if parts} == {}


def test_the_lower_floors_need_torch_alone_and_hydra_stays_on_top(imported: dict[Path, set[str]]) -> None:
    wrong = {}
    for file, names in imported.items():
        outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"seqmodels"}
        floor, alone = FLOOR[part_of(file)], part_of(file) != "data"
        wrong[str(file)] = outside - {"torch", "numpy"} if floor < FIRST_WITH_LIGHTNING and alone else set()
        wrong[str(file)] |= outside & {"hydra", "omegaconf"} if floor < FIRST_WITH_HYDRA else set()
    assert {file: packages for file, packages in wrong.items() if packages} == {}


def test_a_package_has_at_most_16_modules() -> None:
    """One file per cell and per data set: those two may have more."""
    modules = Counter(str(file.parent) for file in FILES if file.stem != "__init__")
    assert {package: number for package, number in modules.items() if number > 16}.keys() <= {"cells", "data/sets"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import seqmodels", {"torch", "lightning", "hydra"}),
        ("import seqmodels.cli", {"torch", "lightning", "hydra"}),
        ("from seqmodels import *", {"lightning", "hydra"}),
        ("import seqmodels.interop, seqmodels.models", {"lightning", "hydra"}),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement: str, absent: set[str]) -> None:
    program = f"import sys; {statement}; print(sorted({absent!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("first", ["seqmodels.backends.eager", "seqmodels"])
def test_the_public_names_are_there_whatever_was_imported_before(first: str) -> None:
    program = (
        f"import {first}; from seqmodels import *; from seqmodels import unroll; assert unroll.__name__ == 'unroll'"
    )
    subprocess.run([sys.executable, "-c", f"{program}; print(unroll.__code__)"], check=True, capture_output=True)
    assert all(hasattr(seqmodels, name) for name in seqmodels.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Recurent'"):
        seqmodels.Recurent  # type: ignore[attr-defined]  # noqa: B018


def test_the_top_level_shows_its_public_names_alone_and_needs_no_torch_for_it() -> None:
    program = "import sys, seqmodels; print(*dir(seqmodels)); assert not {'torch', 'numpy'} & set(sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    packages = {
        "backends",
        "cells",
        "data",
        "decoding",
        "estimators",
        "exporting",
        "inspection",
        "interop",
        "layers",
        "models",
        "nn",
        "serving",
        "tasks",
        "training",
    }
    functions = {"Bidirectional", "Cell", "Recurrent", "Stack", "load", "recurrent_stack", "unroll"}
    cells = {cell.__name__ for cell in seqmodels.cells.ALL_CELLS}
    assert set(run.stdout.split()) == packages | functions | cells
    assert set(seqmodels.__all__) == functions | cells
