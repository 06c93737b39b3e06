"""Who works at which trial: a lock that all processes of a sweep share, and a sign of life from each.

Both are files in the folder of the sweep, so they work alike for every storage. The lock is held for moments only, and
the kernel frees it when its holder dies. A process that is killed leaves its trial marked as running; the sign of life
tells that nobody runs it any more.
"""

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from seqmodels.training.runs import read_json, write_json


class Claims:
    """The claims on the trials of one study.

    A trial is given up when its process is gone from this machine, or has shown no sign of life for ``patience``
    seconds: that is how the end of another machine is noticed.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.patience = patience
        self.lock = FileLock(folder / "lock")

    @contextmanager
    def hold(self, number: int) -> Iterator[None]:
        """Show signs of life for a trial while the body runs."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(self._path(number), done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def take(self, number: int) -> None:
        """Mark a trial as this process's; the lock is held."""
        write_json(self._path(number), {"machine": machine(), "process": os.getpid()})

    def drop(self, number: int) -> None:
        """Forget who had a trial; the lock is held, and the trial is settled."""
        self._path(number).unlink(missing_ok=True)

    def is_alive(self, number: int) -> bool:
        """Return whether somebody works at a trial; the lock is held, so that nobody is about to begin."""
        try:
            owner = read_json(self._path(number))
            silence = self._now() - self._path(number).stat().st_mtime
        except (FileNotFoundError, ValueError):  # never begun, or killed while it was written
            return False
        if owner["machine"] == machine() and not _runs(owner["process"]):
            return False
        return silence < self.patience

    def _beat(self, path: Path, done: threading.Event) -> None:
        while not done.wait(self.patience / 6):
            with suppress(FileNotFoundError):  # another process has given this trial up
                os.utime(path)

    def _now(self) -> float:
        """Return the time by the clock of the disk, which all machines share."""
        clock = self.folder / "clock"
        clock.touch()
        return clock.stat().st_mtime

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.json"


def machine() -> str:
    """Return what tells this machine's processes from those of others, containers of one host included."""
    space = Path("/proc/self/ns/pid")
    return f"{platform.node()} {space.readlink() if space.is_symlink() else ''}".strip()


def _runs(process: int) -> bool:
    """Return whether a process of this machine exists, as far as can be told."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
