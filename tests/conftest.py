"""Shared fixtures: tolerances per dtype, the folder of data sets, the command in the process of the test."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from seqmodels import cells
from seqmodels.cli import run

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script: what tests start would
    signal.signal(signal.SIGINT, signal.default_int_handler)  # be deaf to the interrupts that they send

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process that tests start would compile the source of torch again

TOLERANCE: dict[torch.dtype, dict[str, Any]] = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-10},
}


@pytest.hookimpl(tryfirst=True)  # xdist reads groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have tests that share work run in one process, and a module's one after another.

    Those with a fixture of their module: it would be made in each process, and again after tests of another module.
    Those of a cell: two processes would each derive its program and compile its kernels.
    """
    for item in items:
        if (name := _shared_by(item) or _cell_of(item)) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(name))


def _shared_by(item: pytest.Item) -> str | None:
    """Return the file of a test that takes a fixture which the tests of the file share."""
    info = getattr(item, "_fixtureinfo", None)  # pytest has no public way to ask for the scope of a fixture
    made = [found[-1] for found in info.name2fixturedefs.values()] if info else []
    return item.nodeid.partition("::")[0] if any(fixture.scope == "module" for fixture in made) else None


def _cell_of(item: pytest.Item) -> str | None:
    """Return the cell or wrapper that a parameter of a test is, or that its first word names."""
    values = getattr(item, "callspec", None)
    named = (
        [getattr(value, "__name__", str(value)).partition(" ")[0] for value in values.params.values()] if values else []
    )
    return next((name for name in named if name in cells.__all__), None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real data sets; tests that need one are skipped where it is not set."""
    folder = os.environ.get("SEQMODELS_DATA_DIR")
    if not folder:
        pytest.skip("SEQMODELS_DATA_DIR is not set: it names the folder of the real data sets")
    return Path(folder)


class Answer(NamedTuple):
    """What a command returned and printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """``seqmodels`` as a function that runs in the test's folder: a process would take seconds to import torch.

    Keyword arguments are environment variables. Modules of the test's folder are imported again by each call.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("SEQMODELS_ALLOW", raising=False)

    def call(*tokens: str, **environment: str) -> Answer:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [*sys.path])
            for name, value in environment.items():
                patch.setenv(name, value)
            status = run([*tokens])
        for name, module in [*sys.modules.items()]:
            if str(getattr(module, "__file__", "")).startswith(f"{tmp_path}{os.sep}"):
                del sys.modules[name]
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _recipes_name_public_objects() -> Iterator[None]:
    """Check every recipe that a test writes: what it names must be exported by a package."""
    from seqmodels.training import fit
    from tests.public import private_targets

    recipe_of = fit.recipe_of

    def checked(*arguments: Any) -> Any:
        recipe = recipe_of(*arguments)
        assert private_targets(recipe) == []
        return recipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "recipe_of", checked)
        yield
