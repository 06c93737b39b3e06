"""A package installed from a wheel works without the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy
import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.xdist_group("wheel")  # it is built once
ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed; return what it printed."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_has_every_configuration_that_git_tracks(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "configs"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("seqmodels/configs/")}
    assert packed == {f"seqmodels/{name}" for name in tracked}


@pytest.mark.long
def test_an_empty_environment_trains_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of this environment: a path file lends them, so that nothing is downloaded."""
    place = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=tmp_path)
    python = place / "bin" / "python"
    (site,) = (place / "lib").glob("python*/site-packages")
    lent = Path(numpy.__file__).parents[1]
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    (site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")  # comes after the wheel's own package
    empty = tmp_path / "empty"
    empty.mkdir()
    where = run(python, "-c", "import seqmodels; print(seqmodels.__file__)", cwd=empty)
    assert Path(where.strip()).is_relative_to(site)

    for command in ("train", "evaluate", "doctor"):
        assert run(python, "-m", "seqmodels", command, "--help", cwd=empty).startswith(f"seqmodels {command}")
    assert "the file, plain or .gz" in run(python, "-m", "seqmodels", "train", "--help", "data=csv_series", cwd=empty)

    tiny = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "cell.hidden_size=5", "baselines=false"]
    printed = run(python, "-m", "seqmodels", "train", *tiny, cwd=empty)
    folder = Path(printed.splitlines()[-1].removeprefix("run folder: "))
    assert folder.is_relative_to(empty)
    assert "test/accuracy" in json.loads((folder / "metrics.json").read_text())


def test_the_wheel_asks_for_what_is_declared(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    asked = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    always = {str(requirement) for requirement in asked if requirement.marker is None}
    assert always == {str(Requirement(line)) for line in PROJECT["dependencies"]}
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    assert metadata["Requires-Python"] == PROJECT["requires-python"]


@pytest.fixture(scope="module")
def antlr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of the only dependency that PyPI has as source alone; Hydra and OmegaConf need it."""
    folder = tmp_path_factory.mktemp("antlr")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    command += ["--timeout", "15", "--retries", "1", "antlr4-python3-runtime==4.9.*"]
    source = subprocess.run(command, capture_output=True, text=True, check=False)
    if source.returncode != 0:
        pytest.skip(f"no package index answers: {source.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.mark.slow  # its result depends on what was released today
@pytest.mark.parametrize("python", PYTHONS)
def test_the_wheel_with_all_its_extras_resolves(python: str, wheel: Path, antlr: Path, tmp_path: Path) -> None:
    """For a Python that need not be here, from wheels alone; uv reads their metadata and downloads none of them."""
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    if uv is None:
        pytest.skip("uv is not installed: make install")
    extras = ",".join(PROJECT["optional-dependencies"].keys() - {"dev"})
    (tmp_path / "asked.in").write_text(f"seqmodels[{extras}] @ {wheel.as_uri()}\n", encoding="utf-8")
    command = [uv, "pip", "compile", "asked.in", "--python-version", python, "--only-binary", ":all:"]
    command += ["--find-links", str(antlr), "--no-header", "--no-annotate", "--no-python-downloads", "--quiet"]
    env = {**os.environ, "UV_HTTP_TIMEOUT": "15"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    if "Failed to fetch" in done.stderr:
        pytest.skip(f"no package index answers: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    found = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    assert {Requirement(line).name for line in PROJECT["dependencies"]} <= found.keys()
