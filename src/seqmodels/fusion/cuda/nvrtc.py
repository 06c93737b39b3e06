"""From CUDA C++ to machine code: NVRTC, the compiler that every CUDA build of torch brings along, through ctypes.

It needs no CUDA toolkit, no headers, no host compiler and no card: a machine without one can compile every kernel for
every architecture and read how many registers it takes. Kernels are kept as those in C++ are
(:mod:`seqmodels.fusion.kernels.store`); the key is made from the text, the architecture, the options and the library.
"""

import ctypes
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.store import Store

OPTIONS = ("-std=c++17", "--ptxas-options=-v")
NAME = "libnvrtc.so."
SYSTEM = ("/usr/local/cuda/lib64", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
NEEDS = (r"Used (\d+) registers", r"(\d+) bytes spill stores", r"(\d+) bytes smem")
"""What the assembler says of each kernel."""

FILE = "kernel.image"
"""A line with what kernels need, and their machine code: one file, so that one checksum holds for both."""

LINES = 40
"""Most lines of the compiler's log in a message."""


class Image(NamedTuple):
    """Machine code of one architecture, and what its kernels need; the largest number where it holds several.

    Attributes:
        code: a cubin, which :class:`~seqmodels.fusion.cuda.driver.Kernel` loads.
        registers: registers of a thread; 0 if the compiler did not say.
        spilled: bytes of a thread that found no register.
        shared: bytes of shared memory of a block that the text declares itself; what a launch asks for is not in it.
    """

    code: bytes
    registers: int
    spilled: int
    shared: int


def compiled(text: str, arch: str) -> Image:
    """Return the machine code of CUDA C++, compiled unless this process or the cache has it; for any thread.

    Args:
        text: the whole source; it can include nothing.
        arch: such as ``"sm_90"``.

    Raises:
        BuildFailed: there is no NVRTC, it does not know ``arch``, or the text does not compile.

    Example:
        >>> from seqmodels.fusion.cuda.nvrtc import compiled
        >>> compiled('extern "C" __global__ void one(float* x) { *x = 1; }', "sm_90").spilled  # doctest: +SKIP
        0
    """
    path = _library_path()
    if isinstance(path, str):
        raise BuildFailed(path)

    def build(folder: Path) -> None:
        (folder / "kernel.cu").write_text(text, encoding="utf-8")
        code, log = _compile(_library(path), text, arch)
        needs = " ".join(str(max(map(int, re.findall(pattern, log)), default=0)) for pattern in NEEDS)
        (folder / FILE).write_bytes(f"{needs}\n".encode() + code)

    return _images.get(build, text, arch, *OPTIONS, *_identity(path))


def reason() -> str | None:
    """Return why CUDA C++ cannot be compiled here, or None if it can."""
    path = _library_path()
    return path if isinstance(path, str) else None


def _image(folder: Path) -> Image:
    needs, _, code = (folder / FILE).read_bytes().partition(b"\n")
    return Image(code, *map(int, needs.split()))


_images = Store(FILE, _image)


@lru_cache(maxsize=1)
def _library_path() -> Path | str:
    """Return the library of torch's own version of CUDA, else of any; or what to do about there being none."""
    wanted = (torch.version.cuda or "").partition(".")[0]
    found = [path for folder in _folders() for path in sorted(folder.glob(f"{NAME}*"), reverse=True)]
    if found:  # a driver runs what its own and older versions compiled, and it runs torch's
        return next((path for path in found if path.name.startswith(NAME + wanted)), found[0])
    package = "nvidia-cuda-nvrtc-cu12" if wanted == "12" else "nvidia-cuda-nvrtc"
    return f"the compiler NVRTC ({NAME}{wanted or '*'}) is not installed; `pip install {package}` brings it"


def _folders() -> Iterator[Path]:
    """Yield where the library may lie: packages that torch depends on, then this environment, then the system."""
    packages = importlib.util.find_spec("nvidia")
    for place in (packages and packages.submodule_search_locations) or ():
        yield from sorted(Path(place).glob("*/lib"), reverse=True)
    yield Path(sys.prefix) / "lib"
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if toolkit := os.environ.get(variable):
            yield Path(toolkit) / "lib64"
    yield from map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)))
    yield from map(Path, SYSTEM)


def _identity(path: Path) -> tuple[str, ...]:
    """Return what tells versions of the library apart without loading it, which takes longer than loading a kernel."""
    versions = sorted(more.name for more in path.parent.glob("libnvrtc-builtins.so.*"))
    return path.name, str(path.stat().st_size), *versions


@lru_cache(maxsize=1)
def _library(path: Path) -> Any:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildFailed(f"the compiler NVRTC cannot be loaded from {path}: {error}") from error
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _compile(library: Any, text: str, arch: str) -> tuple[bytes, str]:
    """Return the machine code and the log of the compiler.

    Raises:
        BuildFailed: it failed.
    """
    program = ctypes.c_void_p()
    arguments = (ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None)
    _check(library, library.nvrtcCreateProgram(*arguments))
    try:
        options = [option.encode() for option in (f"--gpu-architecture={arch}", *OPTIONS)]
        status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        log = _bytes(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            said = library.nvrtcGetErrorString(status).decode()
            lines = [line for line in log.splitlines() if line.strip()]
            start = next((number for number, line in enumerate(lines) if "error" in line), 0)
            raise BuildFailed(f"NVRTC failed for {arch} ({said}):\n" + "\n".join(lines[start : start + LINES]))
        return _bytes(library, program, "CUBIN"), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _bytes(library: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(library, getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    content = ctypes.create_string_buffer(size.value)
    _check(library, getattr(library, f"nvrtcGet{what}")(program, content))
    return content.raw


def _check(library: Any, status: int) -> None:
    if status:
        raise BuildFailed(f"NVRTC failed: {library.nvrtcGetErrorString(status).decode()}")
