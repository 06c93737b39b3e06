"""Building kernels: damaged, killed, simultaneous and impossible builds do no harm."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from seqmodels.cells import ElmanCell
from seqmodels.fusion.cpp import build
from seqmodels.fusion.cpp.build import BuildFailed, cache_folder, library, reason
from seqmodels.unroll.fused import Fused
from tests.fusion.running import needs_compiler

ANSWER = """extern "C" long scratch(long batch, long threads) {{ return {} + 0 * batch * threads; }}
extern "C" void run(const long*) {{}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a cache of its own, and a process that has loaded nothing."""
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path))
    forget()
    yield cache_folder()
    forget()


def forget() -> None:
    build._known.clear()
    build._toolchain.cache_clear()


def kernel_of(cache: Path, text: str) -> Path:
    """Return the folder of the kernel built from a text."""
    return next(path.parent for path in cache.glob("*/kernel.cpp") if path.read_text() == text)


@needs_compiler
def test_a_kernel_is_built_once_and_then_loaded(cache: Path) -> None:
    text = ANSWER.format(41)
    assert library(text).scratch(1, 1) == 41
    built = kernel_of(cache, text) / "kernel.so"
    before = built.stat().st_mtime_ns
    forget()
    assert library(text).scratch(1, 1) == 41
    assert built.stat().st_mtime_ns == before
    assert library(text) is library(text)


@needs_compiler
@pytest.mark.parametrize("damage", ["cut short", "overwritten", "no checksum", "no code"])
def test_a_damaged_kernel_is_built_anew(cache: Path, damage: str) -> None:
    text = ANSWER.format(42)
    library(text)
    folder = kernel_of(cache, text)
    code = folder / "kernel.so"
    whole = code.read_bytes()
    code.unlink()  # the old file is still mapped: other bytes get a file of their own
    if damage == "cut short":
        code.write_bytes(whole[: len(whole) // 2])
    elif damage == "overwritten":
        code.write_bytes(bytes(len(whole)))
    elif damage == "no checksum":
        code.write_bytes(whole)
        (folder / "kernel.sha256").unlink()
    forget()
    assert library(text).scratch(1, 1) == 42
    assert build._whole(kernel_of(cache, text))
    assert not list(cache.glob("building-*"))


@needs_compiler
def test_a_cache_that_cannot_be_written_is_replaced_by_a_private_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(blocked))
    assert reason() is None
    assert library(ANSWER.format(43)).scratch(1, 1) == 43


@needs_compiler
def test_a_cache_that_everyone_may_write_to_is_not_trusted(cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert library(ANSWER.format(44)).scratch(1, 1) == 44
    assert not list(cache.iterdir())


def in_processes(count: int, code: str, **environment: str) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command, env=os.environ | environment, **pipes) for _ in range(count)]  # type: ignore[call-overload]


@needs_compiler
def test_two_processes_may_build_at_once(cache: Path) -> None:
    text = ANSWER.format(45)
    code = f"from seqmodels.fusion.cpp.build import library; print(library({text!r}).scratch(1, 1))"
    for process in in_processes(2, code):
        said, failed = process.communicate(timeout=60)
        assert said == "45\n", failed
    assert build._whole(kernel_of(cache, text))
    assert not list(cache.glob("building-*"))


@needs_compiler
def test_threads_share_one_build(cache: Path) -> None:
    found: list[build.Library] = []
    threads = [threading.Thread(target=lambda: found.append(library(ANSWER.format(46)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert len(found) == 4


@needs_compiler
def test_a_killed_build_leaves_nothing_that_is_loaded(cache: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow compiler"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(0o755)
    code = "from seqmodels.fusion.cpp.build import reason; reason()"
    (process,) = in_processes(1, code, CXX=f"'{slow}'")
    patience = time.monotonic() + 30
    while not list(cache.glob("building-*/kernel.cpp")) and time.monotonic() < patience:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    (stray,) = cache.glob("building-*")
    assert library(ANSWER.format(47)).scratch(1, 1) == 47
    assert stray.exists()  # another process might still be at work there
    os.utime(stray, (0, 0))
    assert library(ANSWER.format(48)).scratch(1, 1) == 48
    assert not stray.exists()


@needs_compiler
def test_a_text_that_does_not_compile_says_what_the_compiler_said() -> None:
    with pytest.raises(BuildFailed, match=r"error: .*nonsense"):
        library("nonsense;")


@needs_compiler
def test_a_kernel_without_its_functions_is_not_kept(cache: Path) -> None:
    with pytest.raises(BuildFailed, match="run"):
        library("int nothing;")
    assert not [path for path in cache.glob("*/kernel.cpp") if path.read_text() == "int nothing;"]


@needs_compiler
def test_a_compiler_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("CXX", str(slow))
    monkeypatch.setattr("seqmodels.fusion.cpp.compiler.TIMEOUT", 0.1)
    began = time.monotonic()
    assert "took longer than" in (reason() or "")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CXX", "/nonexistent", "CXX names, '/nonexistent', is not there"),
        ("CXX", "false", "cannot build kernels"),
        ("SEQMODELS_CPP", "0", "SEQMODELS_CPP=0 switches them off"),
        ("PATH", "/nonexistent", "no C\\+\\+ compiler is installed"),
    ],
)
def test_without_a_compiler_the_reason_is_given(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(BuildFailed, match=words):
        library(ANSWER.format(49))
    assert reason() is not None


def test_without_a_compiler_cells_run_as_torch_operators(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "/nonexistent")
    cell, x = ElmanCell(3, 5), torch.randn(2, 4, 3)
    backend = Fused()
    for _ in range(2):
        y, _ = backend(cell, x, cell.initial_state(x), None)
        y.sum().backward()
    (record,) = caplog.records
    assert "CXX names, '/nonexistent', is not there" in record.getMessage()


@needs_compiler
def test_a_kernel_brings_no_second_openmp(cache: Path) -> None:
    before = openmp_runtimes()
    library("#include <omp.h>\n" + ANSWER.format("50 + 0 * omp_get_max_threads()"))
    assert openmp_runtimes() == before


def openmp_runtimes() -> set[str]:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not say which libraries are loaded")
    names = ("libgomp", "libomp", "libiomp")
    return {line.split()[-1] for line in maps.read_text().splitlines() if any(name in line for name in names)}
