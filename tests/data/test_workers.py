"""Worker processes that fail, are killed or stand still end the run, and the message says at which rows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.data import BatchSampler

from seqmodels.data.loaders import PATIENCE, SequenceLoader
from seqmodels.data.sampling import EpochSampler
from seqmodels.errors import LoadingFailed
from tests.data.bad_worker import BAD_ROW, Rows, batches

ROOT = Path(__file__).resolve().parents[2]


def ended(what: str, workers: int, folder: Path, patience: str = "60") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.data.bad_worker", what, str(workers), str(folder)],
        cwd=ROOT,
        env={**os.environ, PATIENCE: patience, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_that_cannot_be_read_is_named_by_its_rows(workers: int) -> None:
    order, seen = list(batches()), []
    loader = iter(SequenceLoader(Rows("raises"), batches(), num_workers=workers))
    bad = next(number for number, rows in enumerate(order) if BAD_ROW in rows)
    for _ in range(bad):
        seen.append(next(loader).tolist())
    assert seen == order[:bad]
    rows = ", ".join(map(str, order[bad]))
    with pytest.raises(
        LoadingFailed,
        match=f"^batch {bad} of epoch 0, rows {rows}, could not be read: .*speech/0007.wav: the header is cut",
    ):
        next(loader)


def test_a_worker_that_stands_still_ends_the_run_after_a_time(tmp_path: Path) -> None:
    done = ended("hangs", 1, tmp_path, "1")
    assert done.stderr.startswith("seqmodels: batch 2 of epoch 0, rows 17, 7, 4, 16, could not be read: ")
    words = "timed out after 1.0 seconds (the environment variable SEQMODELS_WORKER_TIMEOUT sets another time)\n"
    assert done.stderr.endswith(words)
    assert done.returncode == 1


def test_a_worker_that_is_killed_while_a_step_runs_ends_the_run(tmp_path: Path) -> None:
    done = ended("killed in a step", 1, tmp_path)
    assert re.match(
        r"seqmodels: a worker process was lost before batch 3 of epoch 0, rows \d+, .*: .*killed by signal: "
        r"Killed\. .*data\.num_workers=0",
        done.stderr,
    ), done.stderr
    assert done.returncode == 1


def test_a_time_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE, "soon")
    with pytest.raises(ValueError, match="WORKER_TIMEOUT must be a number of seconds, 0 for ever; got 'soon'"):
        SequenceLoader(Rows(""), batches(), num_workers=1)


def test_the_rows_of_a_batch_can_be_asked_for_while_others_are_read() -> None:
    order = EpochSampler(23, seed=1, shuffle=True)
    loader = SequenceLoader(Rows(""), BatchSampler(order, 4, drop_last=False))
    order.set_epoch(5)
    assert loader.origins(2, 1) != loader.origins(3, 1)
    assert order.epoch == 5
    order.set_epoch(2)
    assert loader.origins(2, 1) == [str(row) for row in list(BatchSampler(order, 4, drop_last=False))[1]]
