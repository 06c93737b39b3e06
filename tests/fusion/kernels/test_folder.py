"""The folder of kernels: nothing is trusted that another user could have put there, and it stays small."""

import hashlib
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from seqmodels.backends.fused import Fused
from seqmodels.cells import ElmanCell
from seqmodels.fusion.cpp import build
from seqmodels.fusion.cpp.build import library, reason
from seqmodels.fusion.kernels import folder as places
from seqmodels.fusion.kernels.build_failed import BuildFailed
from seqmodels.fusion.kernels.folder import (
    DAY,
    HOUR,
    cache_folder,
    note_use,
    record,
    recorded,
    sweep,
    trusted_folder,
    whole,
)
from tests.fusion.running import needs_compiler

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
STRANGER = 12345
KEY = "0123456789abcdef" * 4
ANSWER = """extern "C" long scratch(long batch, long threads) {{ return {} + 0 * batch * threads; }}
extern "C" void run(const long*) {{}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a cache of its own, and a process that has loaded nothing."""
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path / "cache"))
    forget()
    yield trusted_folder()
    forget()


def forget() -> None:
    build._kernels.forget()
    build._toolchain.cache_clear()


def fake_kernel(folder: Path, key: str = KEY, size: int = 100, days: int = 0) -> Path:
    """Make a kernel that cannot be loaded, last used some days ago."""
    kernel = folder / key
    kernel.mkdir(mode=0o700)
    (kernel / "kernel.so").write_bytes(bytes(size))
    (kernel / "kernel.sha256").write_text(hashlib.sha256(bytes(size)).hexdigest())
    os.utime(kernel, (time.time() - days * DAY,) * 2)
    return kernel


def let_write(who: int) -> object:
    return lambda path: path.chmod(path.stat().st_mode | who)


def give_away(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


CHANGES = [
    pytest.param(let_write(0o020), id="its group may write"),
    pytest.param(let_write(0o002), id="all may write"),
    pytest.param(give_away, id="another user's", marks=needs_root),
]


@pytest.mark.parametrize("place", ["..", ".", KEY, f"{KEY}/kernel.so", f"{KEY}/kernel.sha256"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_another_user_could_have_changed_is_not_trusted(place: str, change: object, folder: Path) -> None:
    kernel = fake_kernel(folder)
    assert trusted_folder() == cache_folder() == folder
    assert whole(kernel, "kernel.so")
    change((folder / place).resolve())  # type: ignore[operator]
    assert trusted_folder() != folder or not whole(kernel, "kernel.so")


@pytest.mark.parametrize("place", [KEY, f"{KEY}/kernel.so", f"{KEY}/kernel.sha256"])
def test_a_link_is_not_followed(place: str, folder: Path) -> None:
    kernel = fake_kernel(folder)
    moved = (folder / place).rename(folder / "elsewhere")
    (folder / place).symlink_to(moved)
    assert not whole(kernel, "kernel.so")


def test_a_cache_may_lie_where_everybody_has_folders(folder: Path) -> None:
    folder.parent.chmod(0o1777)  # as /tmp
    assert trusted_folder() == folder


def test_no_umask_opens_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(tmp_path / "open"))
    before = os.umask(0)
    try:
        assert trusted_folder() == tmp_path / "open" / "kernels"
        if reason() is None:
            built = next(trusted_folder().glob("*/kernel.so")).parent
            assert whole(built, "kernel.so")
    finally:
        os.umask(before)
    assert cache_folder().stat().st_mode & 0o777 == 0o700


@needs_root
@needs_compiler
def test_no_kernel_of_another_user_is_loaded(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = ANSWER.format(42)
    for answer in (13, 42):
        library(ANSWER.format(answer))
    good, bad = (
        next(p.parent for p in folder.glob("*/kernel.cpp") if f"return {n} " in p.read_text()) for n in (42, 13)
    )
    for name in ("kernel.so", "kernel.sha256"):
        (good / name).unlink()
        shutil.copy(bad / name, good / name)
    forget()
    assert library(text).scratch(1, 1) == 13  # what is planted would be loaded
    for path in (folder.parent, folder, *folder.rglob("*")):
        give_away(path)
    forget()
    assert library(text).scratch(1, 1) == 42
    (told,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert f"{folder.parent} belongs to another user ({STRANGER}); SEQMODELS_CACHE_DIR may name" in told


def test_a_cache_that_others_may_write_to_is_told_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.chmod(0o770)
    assert trusted_folder() == trusted_folder() != folder
    (told,) = caplog.records
    assert f"other users may write to {folder}; `chmod go-w {folder}` forbids it" in told.getMessage()
    folder.chmod(0o700)
    assert trusted_folder() == folder


@needs_compiler
def test_a_cache_that_cannot_be_written_is_replaced_by_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", str(blocked))
    assert reason() is None
    assert library(ANSWER.format(43)).scratch(1, 1) == 43
    first = trusted_folder()
    assert first.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(first)  # as systems tidy /tmp
    assert library(ANSWER.format(44)).scratch(1, 1) == 44


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the process of a user id that no one knows, as containers have."""

    def unknown(user: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("SEQMODELS_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()


@pytest.fixture
def without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no folder for temporary files."""

    def nowhere(**_: object) -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", nowhere)
    monkeypatch.setattr(places, "_folders", {})


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_has_a_folder_while_the_process_lives(tmp_path: Path) -> None:
    assert cache_folder() == trusted_folder()
    assert cache_folder().parent == Path(tempfile.gettempdir())
    if reason() is None:
        assert library(ANSWER.format(45)).scratch(1, 1) == 45
    record("known")
    assert recorded("known")


@pytest.mark.usefixtures("homeless", "without_room")
def test_without_any_folder_cells_run_as_torch_operators() -> None:
    assert reason() is not None
    with pytest.raises(BuildFailed, match="there is no folder to build in: No usable temporary"):
        cache_folder()
    record("known")
    assert not recorded("known")
    cell, x = ElmanCell(3, 5), torch.randn(2, 4, 3)
    y, _ = Fused()(cell, x, cell.initial_state(x), None)
    assert y.shape == (2, 4, 5)


@pytest.mark.usefixtures("without_room")
def test_no_exception_leaves_when_the_working_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("SEQMODELS_CACHE_DIR", "relative")
    assert reason() is not None
    monkeypatch.chdir(tmp_path)


def test_a_record_is_of_one_digest_and_stays(folder: Path) -> None:
    assert not recorded("one")
    record("one")
    record("one")
    assert recorded("one")
    assert not recorded("other")
    assert [path.name for path in (folder / "checked").iterdir()] == ["one"]


@pytest.mark.parametrize("place", [".", "checked", "checked/one"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_another_user_could_have_made_is_none(place: str, change: object, folder: Path) -> None:
    record("one")
    change(folder / place)  # type: ignore[operator]
    assert not recorded("one")


def test_a_record_costs_no_more_than_a_few_files(tmp_path: Path) -> None:
    def seconds(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    def kept(digest: str) -> None:
        record(digest)
        assert recorded(digest)

    file = min(seconds(lambda number=number: (tmp_path / f"{number}").write_text("")) for number in range(20))  # type: ignore[misc]
    assert min(seconds(lambda number=number: kept(f"{number}")) for number in range(20)) < 50 * file  # type: ignore[misc]


def test_the_kernels_and_records_used_last_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [fake_kernel(folder, f"{days:064x}", size=1000, days=days) for days in range(5)]
    for days in range(5):
        record(f"{days}")
        os.utime(folder / "checked" / f"{days}", (time.time() - days * DAY,) * 2)
    monkeypatch.setattr(places, "KEPT", 3 * 1100)
    monkeypatch.setattr(places, "RECORDS", 2)
    sweep(folder)
    assert [kernel.exists() for kernel in kernels] == [True, True, True, False, False]
    assert [recorded(f"{days}") for days in range(5)] == [True, True, False, False, False]


def test_kernels_are_looked_over_once_an_hour(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(folder)
    kernel = fake_kernel(folder)
    monkeypatch.setattr(places, "KEPT", 0)
    sweep(folder)
    assert kernel.exists()
    os.utime(folder / "swept", (time.time() - HOUR - 1,) * 2)
    sweep(folder)
    assert not kernel.exists()


def test_a_use_is_noted_once_a_day(folder: Path) -> None:
    kernel = fake_kernel(folder, days=2)
    note_use(kernel)
    noted = kernel.stat().st_mtime
    assert noted > time.time() - HOUR
    os.utime(kernel, (noted - HOUR,) * 2)
    note_use(kernel)
    assert kernel.stat().st_mtime == pytest.approx(noted - HOUR)


@needs_compiler
def test_loading_a_kernel_is_a_use_of_it(folder: Path) -> None:
    library(ANSWER.format(46))
    for kernel in folder.glob("*/kernel.so"):
        os.utime(kernel.parent, (time.time() - 9 * DAY,) * 2)
    forget()
    library(ANSWER.format(46))
    assert {kernel.parent.stat().st_mtime > time.time() - HOUR for kernel in folder.glob("*/kernel.so")} == {True}
