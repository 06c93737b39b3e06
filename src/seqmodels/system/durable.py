"""Atomic and durable file writes: a file is either complete or absent.

A new file is written under a temporary name in the folder of its target, so that renaming it stays within one file
system, and is atomic; content and name are synced to disk before the call returns. A killed process leaves at most a
temporary file, which :func:`remove_strays` recognises.
"""

import csv
import errno
import hashlib
import io
import os
import platform
import re
import secrets
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from seqmodels.errors import DiskFullError
from seqmodels.system.locks import process_exists

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
UNSUPPORTED = {errno.EACCES, errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}
TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})-([0-9]+)\.[0-9a-f]{8}\.tmp")
DAY = 24 * 3600  # seconds


class DurableFile(io.BufferedIOBase):
    """The file that :func:`durable_file` yields; it computes the SHA-256 of its content while writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._size = 0
        self.error: OSError | None = None  # the first error; a writer may raise another one, as torch.save does

    @property
    def sha256(self) -> str:
        """The digest of everything written, in hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def name(self) -> str:
        """The temporary name of the file."""
        return self._file.name

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._size += view.nbytes
        try:
            self._file.write(view)
        except OSError as error:
            self.error = self.error or error
            raise
        self._sha256.update(view)
        return view.nbytes

    def sync(self) -> None:
        """Sync the content to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def write_durably(
    path: Path, write: Callable[[BinaryIO], object], *, announce: Callable[[str], object] | None = None
) -> str:
    """Replace ``path`` atomically by the output of ``write``; return the SHA-256 of the new file.

    On any failure, ``path`` is unchanged and no temporary file is left. ``announce`` is called with the digest when the
    new content is on disk, before ``path`` is replaced.

    Raises:
        DiskFullError: the disk is full; the message has the path, the bytes written and the free bytes.
        OSError: the file cannot be written.
    """
    with durable_file(path, announce=announce) as file:
        write(cast(BinaryIO, file))
    return file.sha256


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by a UTF-8 text; see :func:`write_durably`.

    Raises:
        DiskFullError: the disk is full.
        OSError: the file cannot be written.
    """
    write_durably(path, lambda file: file.write(text.encode()))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Replace ``path`` by a CSV table; see :func:`write_durably`.

    Raises:
        DiskFullError: the disk is full.
        OSError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())


def check_writable(folder: Path) -> None:
    """Check that files can be created in a folder, or the folder itself if it does not exist; nothing is left behind.

    Raises:
        OSError: it is not a folder, or cannot be written.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    probe = temporary_path(existing / "probe")
    probe.touch(exist_ok=False)
    probe.unlink()


@contextmanager
def durable_file(path: Path, *, announce: Callable[[str], object] | None = None) -> Iterator[DurableFile]:
    """Open a file that replaces ``path`` at the end of the block unless it raises; see :func:`write_durably`."""
    file: DurableFile | None = None
    part = temporary_path(path)
    try:
        with part.open("xb") as raw:
            file = DurableFile(raw)
            yield file
            file.sync()
        if announce is not None:
            announce(file.sha256)
        part.replace(path)
        sync_folder(path.parent)
    except Exception as error:
        cause = file.error if file is not None and file.error is not None else error
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise _full(path, cause, 0 if file is None else file.tell()) from cause
        if cause is not error:
            raise cause from None
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def link_durably(source: Path, target: Path) -> None:
    """Replace ``target`` atomically by ``source``: by a hard link, or a copy if links are not supported.

    Raises:
        DiskFullError: the disk is too full for a copy.
        OSError: ``target`` cannot be written.
    """
    part = temporary_path(target)
    try:
        os.link(source, part)
        part.replace(target)
        sync_folder(target.parent)
    except OSError:
        with source.open("rb") as file:
            write_durably(target, lambda out: shutil.copyfileobj(file, out, 1 << 20))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # renaming does nothing if both are the same file


def remove_strays(folder: Path) -> list[str]:
    """Remove temporary files and folders of killed processes from a folder; return their names.

    One of a running process of this machine is kept, and so is one of another machine (the folder may be shared) for a
    day.
    """
    removed = []
    for path in folder.glob(".*.tmp") if folder.is_dir() else ():
        match = TEMPORARY.fullmatch(path.name)
        with suppress(OSError):
            if match is not None and not _in_use(path, match[1], int(match[2])):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path.name)
    return removed


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk, if the file system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def temporary_path(path: Path) -> Path:
    """Return a new name beside a path, that of a file or folder which gets the path as its name when it is complete.

    It names the process and this call, so that nobody else writes there; :func:`remove_strays` recognises it.
    """
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.{secrets.token_hex(4)}.tmp")


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _in_use(path: Path, machine: str, process: int) -> bool:
    if machine != _machine() or sys.platform == "win32":  # where it cannot be determined
        return time.time() - path.stat().st_mtime < DAY
    return process_exists(process)


def _full(path: Path, error: OSError, size: int) -> DiskFullError:
    try:
        free = f"; {shutil.disk_usage(path.parent).free} bytes are free in {path.parent.absolute()}"
    except OSError:
        free = ""
    full = DiskFullError(f"cannot write {path}: {error.strerror} (it needs at least {size} bytes{free})")
    full.errno = error.errno
    return full
