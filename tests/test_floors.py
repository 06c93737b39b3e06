"""A file imports only from lower floors; the lower ones need torch alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seqmodels

FLOORS: tuple[set[str], ...] = (
    {"errors", "sequence", "memory", "durable", "failures"},
    {"cells", "data", "sidecar"},
    {"fusion", "unroll"},
    {"layers"},
    {"models", "decoding", "interop"},
    {"tasks", "inspection", "exporting"},
    {
        "build",
        "gate",
        "guards",
        "signatures",
        "threads",
        "training",
        "changes",
        "checkpointing",
        "checkpoint_file",
        "checkpoint_format",
        "generation",
        "prediction",
        "processes",
        "sweeping",
        "runs",
        "schedules",
        "progress",
        "resuming",
        "quiet",
        "variables",
    },
    {"cli", "commands", "__main__"},
)
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
TORCH_ALONE = set().union(*FLOORS[:5]) - {"data"}
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


def may_import(part: str, other: str) -> bool:
    if part in TORCH_ALONE and other == "data":
        return False  # it needs Lightning
    beside = part == other or (part, other) == ("unroll", "fusion") or FLOOR[part] >= 6
    return FLOOR[other] < FLOOR[part] or (beside and FLOOR[other] == FLOOR[part])


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_only_from_lower_floors(file: Path) -> None:
    part = file.parts[0].removesuffix(".py")
    assert part in FLOOR, f"{part} has no floor yet: say here and in the design on which it stands"
    ours = {name.split(".")[1] for name in imports(file) if name.startswith("seqmodels.")} & set(FLOOR)
    assert not {other for other in ours if not may_import(part, other)}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_lower_floors_need_torch_alone_and_hydra_stays_on_top(file: Path) -> None:
    part = file.parts[0].removesuffix(".py")
    outside = {name.split(".")[0] for name in imports(file)} - set(sys.stdlib_module_names) - {"seqmodels"}
    if part in TORCH_ALONE:
        assert outside <= {"torch", "numpy"}
    if FLOOR[part] < 6:
        assert not outside & {"hydra", "omegaconf"}


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


@pytest.mark.parametrize("first", ["seqmodels.unroll.eager", "seqmodels"])
def test_the_public_names_are_there_whatever_was_imported_before(first: str) -> None:
    program = (
        f"import {first}; from seqmodels import *; from seqmodels import unroll; assert unroll.__name__ == 'unroll'"
    )
    subprocess.run([sys.executable, "-c", f"{program}; print(unroll.__code__)"], check=True, capture_output=True)
    assert all(hasattr(seqmodels, name) for name in seqmodels.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Recurent'"):
        seqmodels.Recurent  # type: ignore[attr-defined] # noqa: B018
