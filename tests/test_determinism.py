"""The same seed gives bit-equal weights in any environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.determined import main
from tests.distributed.ranks import python_path

ROOT = Path(__file__).resolve().parents[1]


def started(folder: Path, *overrides: str, here: Path = ROOT, **variables: str) -> str:
    """Return the sha256 of the weights of a run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.determined", str(folder), *overrides],
        cwd=here,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": python_path(), **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    return main(tmp_path_factory.mktemp("usual"), "threads=1")  # with the hash seed that this process has drawn


@pytest.mark.long
def test_another_working_folder_and_another_hash_seed_change_nothing(usual: str, tmp_path: Path) -> None:
    assert (
        started(
            tmp_path / "run",
            "threads=1",
            here=tmp_path,
            PYTHONHASHSEED="1" if os.environ.get("PYTHONHASHSEED") == "2" else "2",
        )
        == usual
    )


@pytest.mark.parametrize(
    "override", ["data.num_workers=2", "trainer.log_every_n_steps=1", "callbacks.resume_points.every_n_steps=1"]
)
def test_what_does_not_train_changes_nothing(override: str, usual: str, tmp_path: Path) -> None:
    assert main(tmp_path, "threads=1", override) == usual


@pytest.mark.parametrize("override", ["seed=6", "optimizer.lr=0.011"])
def test_what_trains_changes_the_weights(override: str, usual: str, tmp_path: Path) -> None:
    assert main(tmp_path, "threads=1", override) != usual


@pytest.mark.parametrize("backend", ["eager", "auto"])
def test_one_and_two_threads_train_small_networks_to_the_same_weights(backend: str, tmp_path: Path) -> None:
    one, two = (main(tmp_path / str(n), f"threads={n}", f"model.backend={backend}") for n in (1, 2))
    assert one == two
