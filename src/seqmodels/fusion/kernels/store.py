"""Building and loading kernels, with a cache on disk that survives crashes, races and damaged files.

A kernel is a folder ``<key>`` with its source, its code and the checksum of the code. The key is the sha256 of whatever
decides the code, so that nothing ever has to be invalidated. A folder is created under a temporary name, loaded, and
only then renamed: every folder under a key was loaded once.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.folder import CHECKSUM, STRAY, close_to_others, note_use, sweep, trusted_folder, whole
from seqmodels.system.durable import sha256_of

logger = logging.getLogger("seqmodels")
Kernel = TypeVar("Kernel")


class Store(Generic[Kernel]):
    """Kernels of one kind: each is built once, by one thread, and loaded once by each process.

    Args:
        code: name of the file of a kernel that is loaded as code.
        load: returns the kernel that a folder holds; raises ``OSError``, ``AttributeError`` or ``ValueError`` if it
            cannot be loaded.
    """

    def __init__(self, code: str, load: Callable[[Path], Kernel]) -> None:
        self._code = code
        self._load = load
        self._known: dict[str, Kernel | BuildFailed] = {}
        self._renew_locks()
        if hasattr(os, "register_at_fork"):  # a thread that held a lock in the parent does not exist in the child
            os.register_at_fork(after_in_child=self._renew_locks)

    def get(self, build: Callable[[Path], None], *decisive: str) -> Kernel:
        """Return a kernel from this process, else from the cache, else from ``build``.

        Args:
            build: writes the source and the code into the folder that it is given.
            decisive: everything that decides the code, the source for one.

        Raises:
            BuildFailed: ``build`` raised it, or what it built cannot be loaded; it is not tried again.
        """
        key = hashlib.sha256("\0".join(decisive).encode()).hexdigest()
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                try:
                    found = self._from_cache(key)
                    self._known[key] = self._build(key, build) if found is None else found
                except BuildFailed as error:  # kept: it would fail again
                    self._known[key] = error
            kernel = self._known[key]
        if isinstance(kernel, BuildFailed):
            raise type(kernel)(str(kernel))
        return kernel

    def forget(self) -> None:
        """Forget loaded kernels: each is loaded or built again when next needed."""
        self._known.clear()

    def _renew_locks(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def _from_cache(self, key: str) -> Kernel | None:
        folder = trusted_folder() / key
        if not whole(folder, self._code):
            return None
        try:
            found = self._load(folder)
        except (OSError, AttributeError, ValueError):  # just removed, or mounted without permission to execute
            return None
        note_use(folder)
        return found

    def _build(self, key: str, build: Callable[[Path], None]) -> Kernel:
        began = time.perf_counter()
        folder = trusted_folder()
        try:
            building = Path(tempfile.mkdtemp(prefix=STRAY, dir=folder))
        except OSError as error:
            raise BuildFailed(f"there is no folder to build in: {error}") from error
        try:
            build(building)
            (building / CHECKSUM).write_bytes(sha256_of(building / self._code).encode())
            close_to_others(building)
            loaded = self._load(building)
            self._publish(building, folder / key)
        except (OSError, AttributeError, ValueError) as error:
            raise BuildFailed(f"a kernel cannot be built or loaded in {folder}: {error}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        logger.debug("built the kernel %s in %.1f s", key[:12], time.perf_counter() - began)
        sweep(folder)
        return loaded

    def _publish(self, built: Path, target: Path) -> None:
        """Rename a finished kernel to its key, unless another process did so first; move a damaged one there away."""
        for _ in range(3):
            try:
                built.rename(target)
            except OSError:
                if whole(target, self._code):
                    return
                try:
                    target.rename(built / "damaged")  # removed with that folder
                except OSError:
                    continue
            else:
                return
