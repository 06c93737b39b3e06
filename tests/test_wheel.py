"""A package installed from a wheel works without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # it is built once
ROOT = Path(__file__).resolve().parents[1]


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

    tiny = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "cell.hidden_size=5"]
    printed = run(python, "-m", "seqmodels", "train", *tiny, cwd=empty)
    folder = Path(printed.splitlines()[-1].removeprefix("run folder: "))
    assert folder.is_relative_to(empty)
    assert "test/accuracy" in json.loads((folder / "metrics.json").read_text())
