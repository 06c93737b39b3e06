"""The end of a sweep, and its samplers, on the command line."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqmodels.cli import run

TINY = [
    *("data=parity", "data.train_rows=64", "cell.hidden_size=5", "trainer=cpu", "trainer.limit_train_batches=1"),
    *("trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "trainer.max_epochs=1", "sweep/space=empty"),
]
RATE = "+sweep.space={optimizer.lr:{low:1e-4,high:1e-1,log:true},seed:{low:1,high:9}}"
CONDITIONAL = "+sweep.space={cell:[elman,gru],cell.activation:{choices:[tanh,relu],when:{cell:elman}}}"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_puts_the_trial_back_and_the_same_command_goes_on(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    options = ["sweep=random", "sweep.trials=2", f"sweep.dir='{tmp_path}'", "sweep.storage=journal", RATE]
    command = [sys.executable, "-m", "seqmodels", "sweep", *TINY, *options]
    long = ["trainer.max_epochs=100000", "callbacks.early_stopping=null"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *long], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running = tmp_path / "trials" / "0000" / "metrics.csv"
    try:
        while not running.is_file():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == status, errors
    assert b"Traceback" not in errors
    from seqmodels.sweeping.study import load_sweep

    study = load_sweep(tmp_path, "journal")[0]
    states = [(trial.state.name, trial.user_attrs.get("cause")) for trial in study.get_trials()]
    assert states == [("FAIL", "interrupted"), ("WAITING", None)]


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        ["sweep=tpe", RATE, "sweep/pruner=hyperband", "trainer.max_epochs=2"],
        ["sweep=cmaes", RATE],
        ["sweep=random", CONDITIONAL],
    ],
    ids=["hyperband", "cmaes", "conditional"],
)
def test_every_sampler_and_pruner_ends_with_all_its_trials(options: list[str], tmp_path: Path) -> None:
    status = run(["sweep", *TINY, *options, "sweep.trials=3", f"sweep.dir='{tmp_path}'", "sweep.storage=journal"])
    assert status == 0
    assert [row["state"] for row in rows(tmp_path)] == ["complete"] * 3
    assert (tmp_path / "page.html").is_file()
    if CONDITIONAL in options:
        for row in rows(tmp_path):
            assert bool(row["cell.activation"]) == (row["cell"] == "elman")


@pytest.mark.long
def test_two_objectives_leave_every_trial_that_none_surpasses(tmp_path: Path) -> None:
    both = ["sweep.maximize=[val/accuracy]", "sweep.minimize=[seconds]"]
    options = ["sweep=random", RATE, "sweep.trials=3", f"sweep.dir='{tmp_path}'", "sweep.storage=journal"]
    assert run(["sweep", *TINY, *options, *both]) == 0
    found = rows(tmp_path)
    assert all(float(row["seconds"]) > 0 for row in found)
    assert list((tmp_path / "experiment").glob("*.yaml"))


@pytest.mark.long
def test_a_plateau_and_a_time_limit_end_a_sweep_before_its_trials_are_through(tmp_path: Path) -> None:
    same = "+sweep.space={optimizer.lr:[0.01]}"
    options = ["sweep=random", same, "sweep.trials=9", "sweep.storage=journal"]
    assert run(["sweep", *TINY, *options, "sweep.plateau=2", f"sweep.dir='{tmp_path / 'plateau'}'"]) == 0
    assert len(rows(tmp_path / "plateau")) == 3
    assert run(["sweep", *TINY, *options, "sweep.timeout=0.001", f"sweep.dir='{tmp_path / 'time'}'"]) in (0, 1)
    assert len(rows(tmp_path / "time")) <= 1
