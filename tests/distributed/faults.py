"""A callback that makes one process of a run fail."""

import os
import signal
import time
from typing import Any

from lightning.pytorch import Callback, Trainer


class Fault(Callback):
    """Make process ``rank`` end, be killed or hang at the start of a step; only before any restart.

    Args:
        rank, step: where and when.
        how: ``exit`` with status 13, ``hang``, or the name of a signal that the process sends itself.
    """

    def __init__(self, rank: int, step: int, how: str) -> None:
        self.rank, self.step, self.how = rank, step, how

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if not first or (trainer.global_rank, trainer.global_step) != (self.rank, self.step):
            return
        if self.how == "exit":
            os._exit(13)
        if self.how == "hang":
            time.sleep(3000)  # longer than any test waits
        os.kill(os.getpid(), getattr(signal, self.how))


def fault(rank: int, step: int, how: str) -> list[str]:
    """Return the overrides that plant a fault."""
    node = f"{{_target_: tests.distributed.faults.Fault, rank: {rank}, step: {step}, how: {how}}}"
    return [f"+callbacks.fault={node}"]
