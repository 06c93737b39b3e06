"""Kernels in C++: the toolchain that works here, and the kernel of a source.

Every failure is a :class:`BuildFailed`, or a :func:`reason`, in words: programs then run as torch operators. The cache
on disk is that of :mod:`seqmodels.fusion.kernels.store`; the key of a kernel is made from the source, the flags, the
compiler and the processor's features.
"""

import ctypes
import os
import sys
import time
from array import array
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from seqmodels.fusion.cpp.compiler import (
    COMMON,
    FLAVOURS,
    Compiler,
    TookTooLong,
    find,
    processor,
    share_openmp,
    trial_seconds,
)
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.store import Store

SMOKE = """extern "C" long scratch(long batch, long threads) {
  long total = 0;
#pragma omp parallel for if (threads > 1) reduction(+ : total)
  for (long i = 0; i < batch; i++) total += __builtin_lround(__builtin_exp(0.0));
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


_kernels = Store("kernel.so", lambda folder: Library(folder / "kernel.so"))


def _load(text: str, chain: _Toolchain, end: float | None = None) -> Library:
    """Return the kernel of a source; threads share one build.

    Raises:
        BuildFailed: there is none, or the compiler was still running at ``end``, a time of ``time.monotonic``.
    """

    def build(folder: Path) -> None:
        source = folder / "kernel.cpp"
        source.write_text(text, encoding="utf-8")
        chain.compiler.build(source, folder / "kernel.so", chain.flags, end)

    return _kernels.get(build, text, " ".join(chain.flags), repr(chain.compiler), processor())
