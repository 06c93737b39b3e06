"""Signals: a run saves a resume point, prints the command to resume, and exits with the status of the signal."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.training.fit import train
from tests.composing import composed
from tests.conftest import Answer
from tests.distributed.faults import fault
from tests.distributed.ranks import SEQMODELS, run
from tests.training.resuming.runs import assert_same

RUN = [
    *("data=digits", "data.batch_size=16", "cell.hidden_size=5", "trainer=cpu", "threads=1", "name=test", "logger=csv"),
    *("trainer.limit_train_batches=9", "trainer.limit_val_batches=2", "trainer.limit_test_batches=2"),
    *("trainer.max_epochs=3", "optimizer.lr=0.003", "callbacks.early_stopping=null", "regularizers=recurrent_dropout"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(composed(folder, *RUN))
    return folder


@pytest.mark.long
@pytest.mark.xdist_group("signals")  # the whole run is trained once
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_saves_and_the_command_it_prints_ends_bit_equal(
    name: str, status: int, whole: Path, command: Callable[..., Answer], tmp_path: Path
) -> None:
    ended = run([*SEQMODELS, "train", *RUN, *fault(0, 13, name), f"hydra.run.dir='{tmp_path / 'run'}'"], tmp_path)
    assert ended.status == status, ended.err
    assert "Traceback" not in ended.err
    line = shlex.split(ended.err.partition("resume with: ")[2])
    assert line == ["seqmodels", "train", f"resume={tmp_path / 'run'}"]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    done = command(*line[1:], SEQMODELS_ALLOW="tests.distributed.faults.*")
    assert done.status == 0, done.err
    assert_same(whole, tmp_path / "run")


@pytest.mark.long
def test_a_signal_that_is_ignored_stays_ignored_and_a_second_one_leaves_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from seqmodels.training.resuming.signals import Signals\n"
        "usual = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signals = Signals(print)\n"
        "signals.begin()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print(signals.received)\n"
        "signals.end()\n"
        "assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN\n"
        "signal.signal(signal.SIGINT, usual)\n"
        "signals = Signals(lambda number: print('passed on', number, flush=True))\n"
        "signals.begin()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('received', signals.received, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(9)\n"
        "print('never')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stdout.splitlines() == ["None", "passed on 15", "received 15", "passed on 9"]


@pytest.mark.long
def test_slurm_requeues_a_job_whose_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\n')
    (tmp_path / "scontrol").chmod(0o755)
    own = {**os.environ, "OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "4711", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = [*SEQMODELS, "train", *RUN, "trainer.max_epochs=100000", f"hydra.run.dir='{tmp_path / 'run'}'"]
    with subprocess.Popen(line, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(text.startswith("epoch 2/") for text in process.stdout), process.communicate()[1]
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 128 + signal.SIGUSR1, errors
    assert (tmp_path / "asked").read_text() == "requeue 4711\n"
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
