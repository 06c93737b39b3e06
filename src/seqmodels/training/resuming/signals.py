"""Signals that ask a run to end: the first is noted, the second ends it at once."""

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
    """A run was asked to end, and has saved where it stands.

    No ``Exception``: what catches the failure of a step must not catch it.
    """

    def __init__(self, number: int, where: str) -> None:
        super().__init__(f"{signal.Signals(number).name} after {where}")
        self.number = number

    @property
    def status(self) -> int:
        """The exit status by which a shell knows the signal: 130 of an interrupt, 143 of a termination."""
        return 128 + self.number


class Signals:
    """Takes over SIGINT and SIGTERM, and SIGUSR1 under SLURM, from :meth:`begin` to :meth:`end`.

    Args:
        forward: passes a signal on to the processes that this one has started.
    """

    def __init__(self, forward: Callable[[int], Any]) -> None:
        self.received: int | None = None
        self.forward = forward
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Take over; outside the main thread, where Python allows no handlers, do nothing.

        A signal that this process was told to ignore, as a shell script tells what it starts in the background to
        ignore the terminal's interrupts, stays ignored.
        """
        if threading.current_thread() is not threading.main_thread() or self._before:
            return
        taken = [number for number in ENDING if number != REQUEUE or "SLURM_JOB_ID" in os.environ]
        heard = [number for number in taken if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heard}

    def end(self) -> None:
        """Give back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        name = signal.Signals(number).name
        if self.received is None:
            self.received = number
            _say(f"seqmodels: {name}: saving as this step ends, then leaving; a second signal leaves at once")
            if number != signal.SIGINT:  # a terminal sends that one to all of them
                self.forward(number)
            return
        _say(f"seqmodels: {name} again: leaving at once; what was last saved is in checkpoints/")
        self.forward(signal.SIGKILL)
        os._exit(128 + number)


def requeue() -> None:
    """Ask SLURM to run this job again; ``resume=auto`` then goes on."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)  # noqa: S603, S607  (SLURM's own, found as it finds it)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"seqmodels: job {job} could not be requeued: {error}\n")


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())  # a handler may run in the middle of a write to sys.stderr
