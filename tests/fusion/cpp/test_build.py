"""Building kernels: damaged, killed, simultaneous and impossible builds do no harm."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from seqmodels.backends.fused import Fused
from seqmodels.cells import ElmanCell
from seqmodels.fusion.cpp import build
from seqmodels.fusion.cpp.build import library, reason
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.folder import cache_folder, whole
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
    build._kernels.forget()
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
    content = code.read_bytes()
    code.unlink()  # the old file is still mapped: other bytes get a file of their own
    if damage == "cut short":
        code.write_bytes(content[: len(content) // 2])
    elif damage == "overwritten":
        code.write_bytes(bytes(len(content)))
    elif damage == "no checksum":
        code.write_bytes(content)
        (folder / "kernel.sha256").unlink()
    forget()
    assert library(text).scratch(1, 1) == 42
    assert whole(kernel_of(cache, text), "kernel.so")
    assert not list(cache.glob("building-*"))


def in_processes(count: int, code: str, **environment: str) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command, env=os.environ | environment, **pipes) for _ in range(count)]  # type: ignore[call-overload]


@needs_compiler
def test_two_processes_may_build_at_once(cache: Path) -> None:
    text = ANSWER.format(45)
    code = f"from seqmodels.fusion.cpp.build import library; print(library({text!r}).scratch(1, 1))"
    for process in in_processes(2, code):
        said, failed = process.communicate(timeout=600)
        assert said == "45\n", failed
    assert whole(kernel_of(cache, text), "kernel.so")
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
    slow = slow_compiler(tmp_path / "slow compiler")
    code = "from seqmodels.fusion.cpp import build, compiler; compiler.TRIAL = compiler.TIMEOUT = 600; build.reason()"
    (process,) = in_processes(1, code, CXX=slow)
    while not Path(f"{slow}.mark").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    os.kill(int(Path(f"{slow}.pid").read_text()), signal.SIGKILL)
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


def slow_compiler(path: Path) -> str:
    """Write a compiler that takes ten minutes; it leaves a mark at once, and a child of it one after a second."""
    mark, pid = (shlex.quote(f"{path}.{end}") for end in ("mark", "pid"))
    child = f"(sleep 1; echo child >> {mark}) &"
    path.write_text(f"#!/bin/sh\necho $$ > {pid}\necho start >> {mark}\n{child}\nexec sleep 600\n")
    path.chmod(0o755)
    Path(f"{path}.mark").touch()
    return str(path)


@pytest.mark.parametrize("limit", ["TIMEOUT", "TRIAL"])
def test_a_compiler_that_hangs_is_stopped_with_its_children_and_not_tried_again(
    limit: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = slow_compiler(tmp_path / "slow")
    monkeypatch.setenv("CXX", slow)
    monkeypatch.setattr(f"seqmodels.fusion.cpp.compiler.{limit}", 0.3)
    began = time.monotonic()
    assert "took longer than 0.3 seconds" in (reason() or "")
    assert time.monotonic() - began < 300, "it waited for the compiler"
    time.sleep(1.2)
    assert Path(f"{slow}.mark").read_text() in ("start\n", "")  # the latter where starting alone took too long


@needs_compiler
def test_a_kernel_that_takes_too_long_does_not_stop_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason() is None
    with monkeypatch.context() as patch:
        patch.setattr("seqmodels.fusion.cpp.compiler.TIMEOUT", 0)
        with pytest.raises(BuildFailed, match="took longer than 0 seconds"):
            library(ANSWER.format(50))
    assert library(ANSWER.format(51)).scratch(1, 1) == 51


@needs_compiler
@pytest.mark.parametrize(("name", "quoted"), [("a compiler's", False), ("a compiler's", True), ("plain", False)])
def test_a_compiler_may_have_any_name(name: str, quoted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / name
    compiler.write_text('#!/bin/sh\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", f"{shlex.quote(str(compiler))} -O1" if quoted else str(compiler))
    assert reason() is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CXX", "/nonexistent", "CXX names, '/nonexistent', is not there"),
        ("CXX", "c++ '-O2", 'CXX, "c\\+\\+ \'-O2", is no command: No closing quotation'),
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
