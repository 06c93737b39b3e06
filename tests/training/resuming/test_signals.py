"""Signals: a run saves a resume point, prints the command to resume, and exits with the status of the signal."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.training.fit import train
from tests.composing import composed
from tests.training.resuming.runs import assert_same

RUN = [
    *("data=digits", "data.batch_size=16", "cell.hidden_size=5", "trainer=cpu", "threads=1", "name=test", "logger=csv"),
    *("trainer.limit_train_batches=9", "trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
    *("trainer.max_epochs=70", "optimizer.lr=0.003", "callbacks.early_stopping=null", "regularizers=recurrent_dropout"),
]


def started(*tokens: str, **environment: str) -> subprocess.Popen[str]:
    """Start ``seqmodels train``; return after its second epoch."""
    command = [sys.executable, "-m", "seqmodels", "train", *tokens]
    own = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    process = subprocess.Popen(
        command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            return process
    raise AssertionError(process.communicate(timeout=60)[1])


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_command_it_prints_ends_bit_equal(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    process = started(*RUN, f"hydra.run.dir='{tmp_path / 'run'}'")
    process.send_signal(number)
    code, errors = ended(process)
    assert code == status, errors
    assert "Traceback" not in errors
    command = shlex.split(errors.partition("resume with: ")[2])
    assert command == ["seqmodels", "train", f"resume={tmp_path / 'run'}"]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    train(composed(tmp_path / "whole", *RUN))
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_a_second_signal_leaves_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from seqmodels.training.resuming.signals import Signals\n"
        "signals = Signals(lambda number: print('passed on', number, flush=True))\n"
        "signals.begin()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('received', signals.received, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(9)\n"
        "print('never')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stdout.splitlines() == ["passed on 15", "received 15", "passed on 9"]


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = (
        "import os, signal\n"
        "from seqmodels.training.resuming.signals import Signals\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signals = Signals(print)\n"
        "signals.begin()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print(signals.received)\n"
        "signals.end()\n"
        "assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "None\n"


def test_slurm_requeues_a_job_whose_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\n')
    (tmp_path / "scontrol").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = started(*RUN, f"hydra.run.dir='{tmp_path / 'run'}'", SLURM_JOB_ID="4711", PATH=path)
    process.send_signal(signal.SIGUSR1)
    code, errors = ended(process)
    assert code == 128 + signal.SIGUSR1, errors
    assert (tmp_path / "asked").read_text() == "requeue 4711\n"
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
