"""The system's C++ compiler: finding it, its flags, and running it with a time limit."""

import ctypes
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from seqmodels.fusion.kernels.build_failed import BuildFailed

TIMEOUT = 60
"""Seconds that one build may take; a kernel takes one or two."""

TRIAL = 20
"""Seconds that testing a compiler may take, with all flags: a user waits for it who did not ask for it."""

COMMON = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-std=c++17", "-fPIC")
FLAVOURS = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
"""Flags that not every compiler accepts, best first."""

CANDIDATES = ("c++", "g++", "clang++")
RUNTIMES = ("libgomp", "libomp", "libiomp5")


class TookTooLong(BuildFailed):
    """A build was stopped because it exceeded its time limit."""


def trial_seconds() -> float:
    """Return how long testing a compiler may take: never longer than a build."""
    return min(TRIAL, TIMEOUT)


@dataclass(frozen=True)
class Compiler:
    """A command, and what identifies its version without running it."""

    command: tuple[str, ...]
    identity: tuple[str, int, int]  # path, time of change, size

    def build(self, source: Path, library: Path, flags: tuple[str, ...], end: float | None = None) -> None:
        """Compile, then link without OpenMP's flag: the kernel uses the runtime that torch has loaded.

        Raises:
            BuildFailed: the compiler failed.
            TookTooLong: it took longer than ``TIMEOUT``, or until ``end``, a time of ``time.monotonic``.
        """
        compiled = source.with_suffix(".o")
        began = time.monotonic()
        end = began + TIMEOUT if end is None else end
        try:
            _run([*self.command, *flags, "-c", "-o", str(compiled), str(source)], end)
            _run([*self.command, "-shared", "-o", str(library), str(compiled)], end)
        except subprocess.TimeoutExpired:
            seconds = round(max(0, end - began), 1)
            raise TookTooLong(f"{self.command[0]} took longer than {seconds:g} seconds") from None
        compiled.unlink()


def find(environment: Mapping[str, str]) -> Compiler | str:
    """Return the compiler that ``CXX`` names, else the first of ``CANDIDATES``; or why there is none."""
    wish = environment.get("CXX", "")
    try:
        for command in _commands(wish, environment.get("PATH")):
            if (path := shutil.which(command[0], path=environment.get("PATH"))) is not None:
                path = os.path.abspath(path)  # noqa: PTH100 - it runs in another folder, and links keep their names
                facts = os.stat(path)  # noqa: PTH116 - of the target of a link
                return Compiler((path, *command[1:]), (path, facts.st_mtime_ns, facts.st_size))
    except ValueError as error:
        return f"the environment variable CXX, {wish!r}, is no command: {error}"
    except OSError as error:
        return f"the C++ compiler cannot be looked at: {error}"
    if words := shlex.split(wish):
        return f"the compiler that the environment variable CXX names, {words[0]!r}, is not there"
    return f"no C++ compiler is installed (looked for {', '.join(CANDIDATES)}); CXX may name one"


def _commands(wish: str, path: str | None) -> list[list[str]]:
    """Return the commands to look for: ``CXX`` holds a path, or else words as a shell reads them.

    Raises:
        ValueError: a quote is not closed.
    """
    if wish.strip() and shutil.which(wish, path=path) is not None:  # spaces and quotes are part of the path
        return [[wish]]
    words = shlex.split(wish)
    return [words] if words else [[name] for name in CANDIDATES]


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the features of this processor: a kernel compiled for another one may not run on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return f"{sys.platform} {platform.machine()} {platform.version()}"
    known = {line.split(":")[0].strip(): line for line in reversed(lines) if ":" in line}
    return " ".join([platform.machine(), *(known.get(key, "") for key in ("model name", "flags", "Features"))])


@lru_cache(maxsize=1)
def share_openmp() -> bool:
    """Make the symbols of the OpenMP runtime that torch has loaded visible to kernels; return False if there is none.

    A second runtime in the process would start a second thread pool that competes for the cores.
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


def _run(command: list[str], end: float) -> None:
    """Run the compiler in the folder of its output, so that a killed build leaves no files elsewhere.

    Raises:
        BuildFailed: it does not start, or fails.
        subprocess.TimeoutExpired: it was still running at ``end``.
    """
    folder = str(Path(command[command.index("-o") + 1]).parent)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the user's own compiler
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": folder, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildFailed(f"{command[0]} does not start: {error}") from error
    try:
        output, _ = process.communicate(timeout=end - time.monotonic())
    except BaseException:  # an interrupt too
        _kill(process)
        raise
    if process.returncode:
        lines = output.decode(errors="replace").splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise BuildFailed(f"{command[0]} failed ({process.returncode}): " + "\n".join(errors[:4]))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a compiler and its children without reading their output: a child that escaped would block that."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
