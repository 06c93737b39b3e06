"""CUDA kernels on the CPU: their indexing, their protocol and their numbers can be checked without a card."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from array import array
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-w", "-ffp-contract=off", "-fno-strict-aliasing")
CHECKED = ("-O0", "-fsanitize=alignment,bounds")
"""Flags for kernels; the handlers that the sanitizer calls are the emulator's own."""

NAME = "sequence"
TYPES = {torch.float32: ("float", 0), torch.bfloat16: ("bf16_", 1), torch.float16: ("half_", 2)}
POLLS = "LIMIT = 1 << 22", "LIMIT = 1 << 14"
"""How often a thread looks for a number that never comes: what the text says, and what is enough here."""

_one_at_a_time = threading.Lock()
_one_builds = threading.Lock()


class Emulated:
    """A kernel as :class:`~seqmodels.fusion.cuda.driver.Kernel` has it, run on the CPU with a fibre for each thread.

    What fails on a card fails here with a reason: a barrier that not all threads reach, a vector at an address that is
    not aligned, an index beyond an array, a write past the shared memory. Shared memory holds NaN at first.

    Args:
        text: what follows the prelude of a kernel; all of it is compiled as it stands.
        exact: whether products of float32 are exact; else they are those of TF32.
        disorder: None runs the threads in turns, in the same order each time. A number is a seed: threads, warps and
            blocks run at any speed, and words that blocks exchange arrive late and in any order.

    Raises:
        AssertionError: by :meth:`launch`, for a failure as above.
    """

    spilled = 0

    def __init__(
        self,
        text: str,
        dtype: torch.dtype,
        threads: int,
        shared: int,
        *,
        exact: bool = False,
        disorder: int | None = None,
    ) -> None:
        assert threads % 32 == 0
        self.resident = 1
        real, number = TYPES[dtype]
        lines = [
            f"#define TYPE {real}",
            f"#define TYPE_NUMBER {number}",
            f"#define EXACT {int(exact)}",
            f'#include "{HERE / "emulator.h"}"',
            "#line 1",
        ]
        code = "\n".join([*lines, text.replace(*POLLS)])
        self._sizes = (threads, shared)
        self._seed = -1 if disorder is None else disorder
        with _one_builds:  # kernels are loaded by several threads
            self._emulator = _emulator()
        self._function = getattr(ctypes.CDLL(str(_library(code, *CHECKED))), NAME)

    def launch(self, blocks: int, words: "array[int]") -> None:
        with _one_at_a_time:
            arguments = ctypes.c_void_p(words.buffer_info()[0])
            failure = self._emulator.launch(self._function, arguments, blocks, *self._sizes, self._seed)
        assert failure is None, failure.decode()


class EmulatedCard(NamedTuple):
    """A small card as :class:`~seqmodels.fusion.cuda.card.Card` describes it."""

    name: str = "an emulated card"
    multiprocessors: int = 4
    shared_bytes: int = 99 << 10
    exact: bool = False
    disorder: int | None = None

    def load(self, text: str, dtype: torch.dtype, threads: int, shared_bytes: int) -> Emulated:
        assert shared_bytes <= self.shared_bytes
        return Emulated(text, dtype, threads, shared_bytes, exact=self.exact, disorder=self.disorder)


@lru_cache(maxsize=1)
def _emulator() -> Any:
    library = ctypes.CDLL(str(_library((HERE / "emulator.cpp").read_text(encoding="utf-8"), "-O2")), ctypes.RTLD_GLOBAL)
    library.launch.restype = ctypes.c_char_p
    return library


def _library(code: str, *flags: str) -> Path:
    """Compile C++ unless an earlier run of the tests did."""
    header = (HERE / "emulator.h").read_text(encoding="utf-8")
    name = hashlib.sha256("\0".join((code, header, *FLAGS, *flags)).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"seqmodels-emulated-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid()
    target = folder / f"{name}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder) as made:
            source, compiled, linked = (Path(made) / f"kernel.{end}" for end in ("cpp", "o", "so"))
            source.write_text(code, encoding="utf-8")
            _run(*flags, "-c", "-o", str(compiled), str(source))
            _run("-o", str(linked), str(compiled))  # without the sanitizer's flag, which would add its library
            linked.replace(target)
    return target


def _run(*arguments: str) -> None:
    command = shutil.which("g++") or shutil.which("c++")
    assert command is not None
    done = subprocess.run([command, *FLAGS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
