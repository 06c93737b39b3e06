"""The API reference: every public name is described, and every reference leads to something."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import seqmodels

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"


def public_modules(module: ModuleType, names: list[str]) -> Iterator[ModuleType]:
    """Yield a module, and those that it exports, with theirs."""
    yield module
    for name in names:
        if isinstance(value := getattr(module, name), ModuleType):
            yield from public_modules(value, list(getattr(value, "__all__", ())))


MODULES = list(public_modules(seqmodels, dir(seqmodels)))


def undescribed(thing: Any) -> bool:
    """Return whether a class or function has no docstring of its own; a state is described by its fields."""
    if inspect.isclass(thing):
        return not thing.__dict__.get("__doc__") and not hasattr(thing, "_fields")
    return inspect.isroutine(thing) and not thing.__doc__


def build(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module: ModuleType) -> None:
    assert module.__doc__
    assert not [name for name in getattr(module, "__all__", ()) if undescribed(getattr(module, name))]


def test_every_public_module_has_a_page() -> None:
    shown = {
        name for page in PAGES.glob("*.rst") for name in re.findall(r"automodule:: (\S+)", page.read_text("utf-8"))
    }
    assert shown == {module.__name__ for module in MODULES}


@pytest.mark.long
def test_the_reference_is_built_without_a_warning(tmp_path: Path) -> None:
    done = build(PAGES, tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "nn.html").read_text("utf-8")
    assert 'href="cells.html#seqmodels.cells.ResetAfterGRUCell"' in page


def test_a_reference_to_nothing_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "index.rst").write_text("Index\n=====\n\n:class:`seqmodels.cells.NoSuchCell`\n", "utf-8")
    done = build("-c", PAGES, tmp_path, tmp_path / "built")
    assert done.returncode != 0
    assert "reference target not found: seqmodels.cells.NoSuchCell" in done.stderr
