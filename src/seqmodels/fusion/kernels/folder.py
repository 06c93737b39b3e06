"""The folder that kernels are kept in: who must own it, and how it stays small.

Its files are loaded as code, so whoever can write there can run code as this user. Every file, the folder and its
parent must therefore belong to this user or to root, and nobody else may write to them; otherwise a private folder of
the process is used. Folders further up are the user's own choice and are not checked.
"""

import atexit
import hashlib
import logging
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.system.cache import cache_folder as user_cache

logger = logging.getLogger("seqmodels")

KEPT = 1 << 30
"""Most bytes of kernels that are kept; the least recently used are removed first."""

RECORDS = 10_000
"""Most records that are kept."""

STRAY = "building-"
CHECKSUM = "kernel.sha256"
KEY = re.compile("[0-9a-f]{64}")
HOUR = 60 * 60
DAY = 24 * HOUR


def cache_folder() -> Path:
    """Return where kernels are kept: under ``SEQMODELS_CACHE_DIR``, or in the user's cache folder.

    A user without a home directory gets a private folder of the process.

    Raises:
        BuildFailed: there is no folder for temporary files either.
    """
    return _named() or _private()


def trusted_folder() -> Path:
    """Return the cache folder, or a private one of the process if that cannot be written or trusted.

    Raises:
        BuildFailed: there is no folder for temporary files either.
    """
    if (folder := _named()) is None:
        return _private()
    try:  # modes are explicit: the umask may allow more
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if (why := _distrust(folder.parent, holds_others=True)) is None:
            folder.mkdir(mode=0o700, exist_ok=True)
            why = _distrust(folder)
    except OSError:
        return _private()
    if why is not None:
        _warn(f"no kernel is loaded from {folder} or kept there, each process builds its own: {why}")
        return _private()
    return folder if os.access(folder, os.W_OK | os.X_OK) else _private()


def whole(folder: Path, code: str) -> bool:
    """Return whether a kernel belongs to this user and its file ``code`` is intact: a damaged one would crash."""
    try:
        if not _own(folder.lstat(), stat.S_IFDIR):
            return False
        checksum = hashlib.sha256(_content(folder / code)).hexdigest()
        return _content(folder / CHECKSUM) == checksum.encode()
    except OSError:
        return False


def close_to_others(folder: Path) -> None:
    """Remove other users' permission to write to the files in a folder, which the umask may have granted."""
    for path in folder.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o022:
            path.chmod(mode & ~0o022)


def note_use(path: Path) -> None:
    """Record, at most once a day, that something was used: the least recently used is removed first."""
    with suppress(OSError):
        if time.time() - path.lstat().st_mtime > DAY:
            os.utime(path)


def recorded(digest: str) -> bool:
    """Return whether :func:`record` was called for ``digest``, here or in another process with this cache."""
    try:
        folder = trusted_folder() / "checked"
        path = folder / digest
        found = _own(folder.lstat(), stat.S_IFDIR) and _own(path.lstat(), stat.S_IFREG)
    except (OSError, BuildFailed):
        return False
    if found:
        note_use(path)
    return found


def record(digest: str) -> None:
    """Record permanently that what ``digest`` stands for was checked; do nothing if the folder cannot be written."""
    with suppress(OSError, BuildFailed):
        folder = trusted_folder() / "checked"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(folder / digest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600))


def sweep(folder: Path) -> None:
    """Remove leftovers of killed builds and, once an hour, the kernels and records beyond the limits."""
    with suppress(OSError):  # another process may be removing the same
        for stray in folder.glob(f"{STRAY}*"):
            if time.time() - stray.stat().st_mtime > DAY:
                shutil.rmtree(stray, ignore_errors=True)
    with suppress(OSError):
        if not _due(folder / "swept"):
            return
        # a loaded kernel works without its files, and a process that is about to load it builds it again
        for path in _beyond(KEPT, (_used(e) for e in os.scandir(folder) if KEY.fullmatch(e.name))):
            shutil.rmtree(path, ignore_errors=True)
        for path in _beyond(RECORDS, (_used(e) for e in os.scandir(folder / "checked"))):
            path.unlink(missing_ok=True)


def _due(mark: Path) -> bool:
    """Return whether an hour has passed since the last time: checking thousands of files takes a while."""
    with suppress(OSError):
        if abs(time.time() - mark.stat().st_mtime) < HOUR:
            return False
    mark.touch(mode=0o600)
    return True


def _used(entry: "os.DirEntry[str]") -> tuple[float, int, Path]:
    """Return when a kernel or record was last used, its size (records are counted) and where it is."""
    size = sum(file.stat().st_size for file in os.scandir(entry)) if entry.is_dir() else 1
    return entry.stat().st_mtime, size, Path(entry)


def _beyond(limit: int, found: Iterable[tuple[float, int, Path]]) -> Iterator[Path]:
    """Yield the paths of (last use, size, path) that exceed the limit, the most recently used counting first."""
    total = 0
    for _, size, path in sorted(found, reverse=True):
        total += size
        if total > limit:
            yield path


def _named() -> Path | None:
    """Return the folder that the environment names; None without a home directory or working directory."""
    try:
        return user_cache("kernels")
    except (RuntimeError, OSError):
        return None


def _distrust(folder: Path, *, holds_others: bool = False) -> str | None:
    """Return why another user could have put code into a folder, and a remedy; None if nobody could.

    A folder that ``holds_others`` may have the sticky bit, as /tmp has: then nobody can rename other users' files.
    """
    facts = folder.stat()
    if _foreign(facts):
        return f"{folder} belongs to another user ({facts.st_uid}); SEQMODELS_CACHE_DIR may name a folder of your own"
    if _open(facts) and not (holds_others and facts.st_mode & stat.S_ISVTX):
        return f"other users may write to {folder}; `chmod go-w {shlex.quote(str(folder))}` forbids it"
    return None


def _own(facts: os.stat_result, kind: int) -> bool:
    return stat.S_IFMT(facts.st_mode) == kind and not _foreign(facts) and not _open(facts)


def _foreign(facts: os.stat_result) -> bool:
    return sys.platform != "win32" and facts.st_uid not in (os.geteuid(), 0)


def _open(facts: os.stat_result) -> bool:
    return sys.platform != "win32" and bool(facts.st_mode & 0o022)


def _content(path: Path) -> bytes:
    """Read a file of this user, without following links, which could lead anywhere.

    Raises:
        OSError: there is none.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # opening a pipe would block
    with os.fdopen(handle, "rb") as file:
        if not _own(os.fstat(handle), stat.S_IFREG):
            raise PermissionError(f"{path} may be another user's")
        return file.read()


@lru_cache(maxsize=64)
def _warn(text: str) -> None:
    """Log a warning once."""
    logger.warning(text)


_folders: dict[int, Path] = {}  # by process: a forked child has its own


def _private() -> Path:
    """Return a private folder of this process, which is removed when it ends."""
    process = os.getpid()
    with suppress(KeyError, OSError):  # there is none yet, or something that cleans /tmp removed it
        if _distrust(_folders[process]) is None:
            return _folders[process]
    try:
        folder = _folders[process] = Path(tempfile.mkdtemp(prefix="seqmodels-"))
    except OSError as error:
        raise BuildFailed(f"there is no folder to build in: {error}") from error

    def remove() -> None:
        if os.getpid() == process:  # a forked child leaves its parent's folder alone
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
