"""The system's C++ compiler: which one, with which flags, and running it within a time."""

import ctypes
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TIMEOUT = 300
"""Seconds that one build may take; a kernel takes one or two."""

COMMON = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-std=c++17", "-fPIC")
FLAVOURS = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
"""Flags that not every compiler takes, best first."""

CANDIDATES = ("c++", "g++", "clang++")
RUNTIMES = ("libgomp", "libomp", "libiomp5")


class BuildFailed(RuntimeError):
    """A kernel that could not be built or loaded; the message holds what the compiler said first."""


@dataclass(frozen=True)
class Compiler:
    """A command, and what tells one version of it from another without asking it."""

    command: tuple[str, ...]
    identity: tuple[str, int, int]  # path, time of change, size

    def build(self, source: Path, library: Path, flags: tuple[str, ...]) -> None:
        """Compile, then link without OpenMP's flag: the kernel shares the runtime that torch has loaded.

        Raises:
            BuildFailed: the compiler failed or took longer than ``TIMEOUT``.
        """
        compiled = source.with_suffix(".o")
        _run([*self.command, *flags, "-c", "-o", str(compiled), str(source)])
        _run([*self.command, "-shared", "-o", str(library), str(compiled)])
        compiled.unlink()


def find(environment: Mapping[str, str]) -> Compiler | str:
    """Return the compiler that ``CXX`` names, else the first of ``CANDIDATES``; or, in words, why there is none."""
    wish = shlex.split(environment.get("CXX", ""))
    for command in [wish] if wish else [[name] for name in CANDIDATES]:
        if (path := shutil.which(command[0], path=environment.get("PATH"))) is not None:
            facts = Path(path).resolve().stat()
            return Compiler((path, *command[1:]), (path, facts.st_mtime_ns, facts.st_size))
    if wish:
        return f"the compiler that the environment variable CXX names, {wish[0]!r}, is not there"
    return f"no C++ compiler is installed (looked for {', '.join(CANDIDATES)}); CXX may name one"


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the features of this machine's processor: a kernel compiled for others may not run on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return f"{sys.platform} {platform.machine()} {platform.version()}"
    known = {line.split(":")[0].strip(): line for line in reversed(lines) if ":" in line}
    return " ".join([platform.machine(), *(known.get(key, "") for key in ("model name", "flags", "Features"))])


@lru_cache(maxsize=1)
def share_openmp() -> bool:
    """Make the symbols of the OpenMP runtime that torch has loaded visible to kernels; False where there is none.

    A second runtime in the process would start a second pool of threads, and they would fight for the cores.
    """
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in mapped if ".so" in line)
    found = [path for path in paths if Path(path).name.startswith(RUNTIMES)]
    for path in sorted(found, key=lambda path: "torch" not in path):  # torch's own first
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


def _run(command: list[str]) -> None:
    """Run the compiler in the folder of what it makes, so that nothing of a killed build lies anywhere else."""
    folder = str(Path(command[command.index("-o") + 1]).parent)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the user's own compiler
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": folder, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildFailed(f"{command[0]} does not start: {error}") from error
    try:
        said, _ = process.communicate(timeout=TIMEOUT)
    except BaseException as error:  # an interrupt too: the driver's children must not live on
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BuildFailed(f"{command[0]} took longer than {TIMEOUT} seconds") from None
        raise
    if process.returncode:
        lines = said.decode(errors="replace").splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise BuildFailed(f"{command[0]} failed ({process.returncode}): " + "\n".join(errors[:4]))
