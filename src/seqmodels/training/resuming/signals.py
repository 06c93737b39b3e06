"""Signals that ask a run to stop: the first is recorded, the second stops it at once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

REQUEUE = getattr(signal, "SIGUSR1", None)  # what `sbatch --signal=USR1@120` sends before the time is up
ENDING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, REQUEUE) if number is not None)


class Interrupted(BaseException):
    """A run was asked to stop, and has saved a resume point.

    Not an ``Exception``, so that handlers for a failed step do not catch it.
    """

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"{signal.Signals(number).name} after {where}")
        self.number = number

    @property
    def status(self) -> int:
        """The exit status by which a shell identifies the signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class Signals:
    """Handle SIGINT and SIGTERM, and SIGUSR1 under SLURM, from :meth:`begin` to :meth:`end`.

    Args:
        forward: forwards a signal to the processes that this one has started.
    """

    def __init__(self, forward: Callable[[int], Any]) -> None:
        self.received: int | None = None
        self.forward = forward
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Install the handlers; do nothing outside the main thread, where Python does not allow handlers.

        A signal that this process already ignores stays ignored: a shell script makes its background processes ignore
        the interrupts of the terminal.
        """
        if threading.current_thread() is not threading.main_thread() or self._before:
            return
        candidates = [number for number in ENDING if number != REQUEUE or "SLURM_JOB_ID" in os.environ]
        handled = [number for number in candidates if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in handled}

    def end(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        name = signal.Signals(number).name
        if self.received is None:
            self.received = number
            _write_line(f"seqmodels: {name}: saving after this step, then exiting; a second signal exits at once")
            if number != signal.SIGINT:  # a terminal sends SIGINT to all processes itself
                self.forward(number)
            return
        _write_line(f"seqmodels: {name} again: exiting at once; the last save is in checkpoints/")
        self.forward(signal.SIGKILL)
        os._exit(128 + number)


def requeue() -> None:
    """Ask SLURM to run this job again; ``resume=auto`` then continues the run."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)  # noqa: S603, S607  (SLURM's own command, from the PATH)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"seqmodels: job {job} could not be requeued: {error}\n")


def _write_line(line: str) -> None:
    os.write(2, f"{line}\n".encode())  # not sys.stderr: a handler may interrupt a write to it
