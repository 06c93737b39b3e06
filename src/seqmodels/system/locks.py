"""Locks between processes, and whether a process is still there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Run the block in one thread of one process at a time.

    Without file locks (on Windows, on some file systems, or in a read-only folder) it runs concurrently.

    Args:
        path: a folder, or the file to lock, which is created with its folder.
    """
    with _locked(path, "LOCK_EX"):
        yield


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Mark a folder as used by this process while the block runs; the mark also ends with the process.

    Without file locks there is no mark.
    """
    with _locked(folder, "LOCK_SH"):
        yield


@contextmanager
def _locked(path: Path, kind: str) -> Iterator[None]:
    handle = None
    with suppress(OSError):
        if fcntl is not None:
            if not path.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_WRONLY | os.O_CREAT, 0o666)
            fcntl.flock(handle, getattr(fcntl, kind))
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough: a forked child may share the handle
            os.close(handle)


def is_occupied(folder: Path) -> bool:
    """Return whether a process is in a block of :func:`occupied` for a folder; False if that cannot be determined."""
    if fcntl is None:
        return False
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def process_exists(number: int) -> bool:
    """Return whether a process of this machine exists; True if that cannot be determined."""
    if os.name != "posix":  # Windows has no signal 0
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process of another user
        return True
    return True
