"""Reading by workers that fail, in a process of its own: python -m tests.data.bad_worker WHAT WORKERS FOLDER."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.utils.data import BatchSampler, Dataset

from seqmodels.commands.app import report
from seqmodels.data.loaders import SequenceLoader
from seqmodels.data.sampling import EpochSampler
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
                time.sleep(100)
            raise ValueError("speech/0007.wav: the header is cut")
        return torch.tensor(rows)


def batches() -> BatchSampler:
    return BatchSampler(EpochSampler(23, seed=1, shuffle=True), 4, drop_last=False)


class Killer(Callback):
    """Kills the worker process in the middle of a step."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2:
            child = multiprocessing.active_children()[0]
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            time.sleep(5)


def main(what: str, workers: str, folder: str) -> None:
    if what == "killed in a step":
        settings = ["data=digits", f"data.num_workers={workers}", "trainer=cpu", "threads=1", "cell.hidden_size=3"]
        settings += ["logger=none", "callbacks=none", "callbacks.progress=null"]
        train(composed(Path(folder), *settings), Killer())
        return
    for batch in SequenceLoader(Rows(what), batches(), num_workers=int(workers)):
        sys.stdout.write(f"{batch.tolist()}\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        sys.exit(report(error))
