"""Building and loading kernels, with a cache on disk that survives crashes, races and damaged files.

A kernel is a folder ``<key>`` with ``kernel.cpp``, ``kernel.so`` and the checksum of the latter. The key is the sha256
of the source, the flags, the compiler and the processor's features, so that nothing ever has to be invalidated. A
folder is created under a temporary name, loaded, and only then renamed: every folder under a key was loaded once.
Every failure is a :class:`BuildFailed`, or a :func:`reason`, in words: programs then run as torch operators.
"""

import ctypes
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from seqmodels.fusion.cpp.cache import (
    STRAY,
    cache_folder,
    close_to_others,
    note_use,
    record,
    recorded,
    sweep,
    trusted_folder,
    whole,
)
from seqmodels.fusion.cpp.compiler import (
    COMMON,
    FLAVOURS,
    BuildFailed,
    Compiler,
    TookTooLong,
    find,
    processor,
    share_openmp,
    trial_seconds,
)
from seqmodels.system.durable import sha256_of

__all__ = ["BuildFailed", "Library", "cache_folder", "library", "reason", "record", "recorded"]

logger = logging.getLogger("seqmodels")
SMOKE = """#include <cmath>
extern "C" long scratch(long batch, long threads) {
  long total = 0;
#pragma omp parallel for if (threads > 1) reduction(+ : total)
  for (long i = 0; i < batch; i++) total += std::lround(std::exp(0.0));
  return total;
}
extern "C" void run(const long*) {}
"""


class Library:
    """A loaded kernel; ``scratch(batch, threads)`` returns the size of its scratch.

    It is never unloaded: another thread may be running it.
    """

    def __init__(self, path: Path) -> None:
        code = ctypes.CDLL(str(path))
        self._run: Callable[[ctypes.c_void_p], None] = code.run
        code.run.restype, code.run.argtypes = None, [ctypes.c_void_p]
        self.scratch: Callable[[int, int], int] = code.scratch
        code.scratch.restype, code.scratch.argtypes = ctypes.c_int64, [ctypes.c_int64] * 2

    def run(self, arguments: "array[int]") -> None:
        """Run it on the fields of its ``struct Args``."""
        self._run(ctypes.c_void_p(arguments.buffer_info()[0]))


class _Toolchain(NamedTuple):
    compiler: Compiler
    flags: tuple[str, ...]


def library(text: str) -> Library:
    """Return the kernel whose C++ source is ``text``, built unless this process or the cache has it.

    Raises:
        BuildFailed: there is no working compiler, or this source does not compile.
    """
    found = _toolchain(*_settings())
    if isinstance(found, str):
        raise BuildFailed(found)
    return _load(text, found)


def reason() -> str | None:
    """Return why C++ kernels cannot be used here, or None if they can. The first call builds and loads a tiny one."""
    found = _toolchain(*_settings())
    return found if isinstance(found, str) else None


def _settings() -> tuple[str, str, str]:
    """Return the environment variables that choose the compiler, so that a change is noticed."""
    return os.environ.get("SEQMODELS_CPP", ""), os.environ.get("CXX", ""), os.environ.get("PATH", os.defpath)


@lru_cache(maxsize=8)
def _toolchain(switch: str, cxx: str, path: str) -> _Toolchain | str:
    """Return the compiler and the best flags that it accepts, or why there is none."""
    if switch.lower() in ("0", "off", "false", "no"):
        return f"the environment variable SEQMODELS_CPP={switch} switches them off"
    if sys.platform == "win32":
        return "kernels are not built on Windows"
    compiler = find({"CXX": cxx, "PATH": path})
    if isinstance(compiler, str):
        return compiler
    shared, failure, end = share_openmp(), "", time.monotonic() + trial_seconds()
    for extra in FLAVOURS:
        if "-fopenmp" in extra and not shared:
            continue
        chain = _Toolchain(compiler, (*COMMON, *extra))
        try:
            if _load(SMOKE, chain, end).scratch(3, 1) == 3:
                return chain
            failure = failure or "a tiny kernel returned a wrong number"
        except TookTooLong as error:  # it would be no faster with other flags
            failure = str(error)
            break
        except BuildFailed as error:
            failure = failure or str(error)
    return f"the compiler {compiler.command[0]} cannot build kernels: {failure}"


_known: dict[str, Library | BuildFailed] = {}
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def _after_fork() -> None:
    """Give the child locks of its own: a thread that held one in the parent does not exist here."""
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _load(text: str, chain: _Toolchain, end: float | None = None) -> Library:
    """Return a kernel from this process, else from the cache, else from the compiler; threads share one build.

    Raises:
        BuildFailed: there is none, or the compiler was still running at ``end``, a time of ``time.monotonic``.
    """
    parts = (text, " ".join(chain.flags), repr(chain.compiler), processor())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        if key not in _known:
            try:
                _known[key] = _from_cache(key) or _build(key, text, chain, end)
            except BuildFailed as error:  # kept: it would fail again
                _known[key] = error
        found = _known[key]
    if isinstance(found, BuildFailed):
        raise type(found)(str(found))
    return found


def _from_cache(key: str) -> Library | None:
    folder = trusted_folder() / key
    if not whole(folder):
        return None
    try:
        found = Library(folder / "kernel.so")
    except (OSError, AttributeError):  # just removed, or mounted without permission to execute
        return None
    note_use(folder)
    return found


def _build(key: str, text: str, chain: _Toolchain, end: float | None) -> Library:
    began = time.perf_counter()
    folder = trusted_folder()
    try:
        building = Path(tempfile.mkdtemp(prefix=STRAY, dir=folder))
    except OSError as error:
        raise BuildFailed(f"there is no folder to build in: {error}") from error
    try:
        source, code = building / "kernel.cpp", building / "kernel.so"
        source.write_text(text, encoding="utf-8")
        chain.compiler.build(source, code, chain.flags, end)
        (building / "kernel.sha256").write_bytes(sha256_of(code).encode())
        close_to_others(building)
        loaded = Library(code)
        _publish(building, folder / key)
    except (OSError, AttributeError) as error:
        raise BuildFailed(f"a kernel cannot be built or loaded in {folder}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    logger.debug("built the kernel %s in %.1f s", key[:12], time.perf_counter() - began)
    sweep(folder)
    return loaded


def _publish(built: Path, target: Path) -> None:
    """Rename a finished kernel to its key, unless another process did so first; a damaged one there is moved away."""
    for _ in range(3):
        try:
            built.rename(target)
        except OSError:
            if whole(target):
                return
            try:
                target.rename(built / "damaged")  # removed with that folder
            except OSError:
                continue
        else:
            return
