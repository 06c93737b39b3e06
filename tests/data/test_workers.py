"""Worker processes that fail, are killed or stand still end the run, and the message says at which rows."""

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils.data import BatchSampler, Dataset
from torch.utils.data._utils import signal_handling

from seqmodels.commands.app import report
from seqmodels.data.loaders import PATIENCE, SequenceLoader
from seqmodels.data.sampling import EpochSampler
from seqmodels.errors import LoadingFailed
from seqmodels.training.fit import train
from tests.composing import composed

BAD_ROW = 7


class Rows(Dataset[torch.Tensor]):
    """Row numbers; one of them cannot be read."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __getitems__(self, rows: list[int]) -> Any:
        if BAD_ROW in rows:
            if self.what == "hangs":
                time.sleep(300)
            raise ValueError("speech/0007.wav: the header is cut")
        return torch.tensor(rows)


def batches() -> BatchSampler:
    return BatchSampler(EpochSampler(23, seed=1, shuffle=True), 4, drop_last=False)


class Killer(Callback):
    """Kills the worker process in the middle of a step."""

    def __init__(self) -> None:
        self.others = multiprocessing.active_children()  # such as one of a test before, which does not end at once

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2:
            (child,) = {*multiprocessing.active_children()} - {*self.others}
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            time.sleep(300)  # until the signal of its death comes


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


def test_a_worker_that_stands_still_ends_the_run_after_a_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PATIENCE, "10")  # a busy machine takes seconds to start a worker
    with pytest.raises(LoadingFailed) as caught:
        list(SequenceLoader(Rows("hangs"), batches(), num_workers=1))
    assert report(caught.value) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqmodels: batch 2 of epoch 0, rows 17, 7, 4, 16, could not be read: ")
    words = "timed out after 10.0 seconds (the environment variable SEQMODELS_WORKER_TIMEOUT sets another time)\n"
    assert said.endswith(words)


def test_a_worker_that_is_killed_while_a_step_runs_ends_a_later_run_of_a_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)  # as in a process that has trained nothing
    settings = ["data=digits", "data.num_workers=1", "trainer=cpu", "threads=1", "cell.hidden_size=3"]
    settings += ["logger=none", "callbacks=none", "callbacks.progress=null", "baselines=false"]
    train(composed(tmp_path / "first", *settings, "trainer.max_epochs=1", "trainer.limit_train_batches=1"))
    with pytest.raises(LoadingFailed) as caught:
        train(composed(tmp_path / "second", *settings), Killer())
    assert report(caught.value) == 1
    said = capsys.readouterr().err
    assert re.search(
        r"seqmodels: a worker process was lost before batch 3 of epoch 0, rows \d+, .*: .*killed by signal: "
        r"Killed\. .*data\.num_workers=0",
        said,
    ), said


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
