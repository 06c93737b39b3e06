"""Claims of processes on trials: a lock shared by all processes of a sweep, and a heartbeat for each running trial.

Both are files in the folder of the sweep, so they work the same way for every storage. The lock is held only briefly,
and the kernel releases it when its holder dies. A killed process leaves its trial marked as running; its missing
heartbeat shows that nobody runs it any more.
"""

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from seqmodels.system.json_text import read_json
from seqmodels.system.locks import process_exists
from seqmodels.training.runs import write_json


class Claims:
    """Manage the claims on the trials of one study.

    A trial is considered lost if its process no longer exists on this machine, or if its heartbeat is older than
    ``patience`` seconds, as when another machine has failed.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.patience = patience
        self.lock = FileLock(folder / "lock")

    @contextmanager
    def heartbeat(self, number: int) -> Iterator[None]:
        """Update the heartbeat of a trial while the body runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(self._path(number), done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def take(self, number: int) -> None:
        """Claim a trial for this process; the lock must be held."""
        write_json(self._path(number), {"machine": machine(), "process": os.getpid()})

    def release(self, number: int) -> None:
        """Remove the claim on a finished trial; the lock must be held."""
        self._path(number).unlink(missing_ok=True)

    def is_alive(self, number: int) -> bool:
        """Return whether a process runs a trial; the lock must be held, so that none is about to start."""
        try:
            owner = read_json(self._path(number))
            silence = self._now() - self._path(number).stat().st_mtime
        except (FileNotFoundError, ValueError):  # never started, or killed while writing it
            return False
        if owner["machine"] == machine() and not process_exists(owner["process"]):
            return False
        return silence < self.patience

    def _beat(self, path: Path, done: threading.Event) -> None:
        while not done.wait(self.patience / 6):
            with suppress(FileNotFoundError):  # another process has declared this trial lost
                os.utime(path)

    def _now(self) -> float:
        """Return the time by the clock of the file system, which all machines share."""
        clock = self.folder / "clock"
        clock.touch()
        return clock.stat().st_mtime

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.json"


def machine() -> str:
    """Return an identifier of this machine and, for containers of one host, of the process namespace."""
    space = Path("/proc/self/ns/pid")
    return f"{platform.node()} {space.readlink() if space.is_symlink() else ''}".strip()
