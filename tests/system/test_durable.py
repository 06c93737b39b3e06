"""A file is either complete or absent, whatever happens to its writer."""

import errno
import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from seqmodels.errors import DiskFullError
from seqmodels.system.durable import (
    DurableFile,
    durable_file,
    link_durably,
    remove_strays,
    sha256_of,
    write_durably,
)
from seqmodels.system.locks import exclusive
from tests.killing import answer_with_limit, killed_at_byte, killed_at_line

OLD, NEW = b"old " * 999, b"new " * 1777


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An existing file in a separate folder."""
    path = tmp_path / "folder" / "name.txt"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def write_new(file: BinaryIO) -> None:
    for start in range(0, len(NEW), 1000):
        file.write(NEW[start : start + 1000])


def beside(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other != path)


def test_what_was_written_replaces_the_file_and_its_sha256_is_returned(path: Path) -> None:
    assert write_durably(path, write_new) == hashlib.sha256(NEW).hexdigest() == sha256_of(path)
    assert path.read_bytes() == NEW
    assert beside(path) == []


def test_a_file_that_fails_to_be_written_stays_as_it_was(path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        write_new(file)
        raise KeyError("in the middle")

    with pytest.raises(KeyError, match="in the middle"):
        write_durably(path, fail)
    assert path.read_bytes() == OLD
    assert beside(path) == []


def test_an_error_of_the_disk_is_told_also_where_a_writer_hides_it(path: Path) -> None:
    def hide(file: BinaryIO) -> None:
        assert isinstance(file, DurableFile)
        file.error = OSError(errno.ESTALE, "the server is gone")
        raise RuntimeError("unexpected position")

    with pytest.raises(OSError, match="the server is gone"):
        write_durably(path, hide)
    assert path.read_bytes() == OLD


def test_text_can_be_written_through_a_wrapper(path: Path) -> None:
    with durable_file(path) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        text.write("\u20ac\n")
    assert path.read_bytes() == b"\xe2\x82\xac\n"
    assert file.sha256 == sha256_of(path)


def test_a_new_file_has_the_rights_that_any_new_file_has(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    write_durably(path, write_new)
    assert path.stat().st_mode == other.stat().st_mode


def test_bytes_are_on_disk_before_they_get_their_name_and_the_name_before_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    real = os.fsync

    def sync(handle: int) -> None:
        folder = os.path.samestat(os.fstat(handle), path.parent.stat())
        steps.append(("name" if folder else "bytes", path.read_bytes() == NEW, os.fstat(handle).st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    announced = []
    write_durably(path, write_new, announce=lambda digest: announced.append((digest, path.read_bytes() == OLD)))
    assert [(what, is_new) for what, is_new, _ in steps] == [("bytes", False), ("name", True)]
    assert steps[0][2] == len(NEW), "all of them"
    assert announced == [(sha256_of(path), True)]


@pytest.mark.parametrize("size", [0, 1, 999, 4096, len(NEW) - 1])
def test_a_writer_that_is_killed_at_any_byte_leaves_the_file_as_it_was(size: int, path: Path) -> None:
    assert killed_at_byte(lambda: write_durably(path, write_new), size) < 0
    assert path.read_bytes() == OLD
    assert remove_strays(path.parent)
    assert beside(path) == []


@pytest.mark.long
def test_a_writer_that_is_killed_at_any_line_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    left = set()
    for number in range(1, 1000):
        path.write_bytes(OLD)
        status = killed_at_line(lambda: write_durably(path, write_new), ("durable.py",), number)
        assert path.read_bytes() in (OLD, NEW)
        left.add(path.read_bytes())
        remove_strays(path.parent)
        assert beside(path) == []
        if status == 0:
            break
    assert status == 0
    assert number > 30
    assert left == {OLD, NEW}


@pytest.mark.parametrize("size", [0, 1000, len(NEW) - 1])
def test_no_room_is_an_error_with_the_path_and_the_bytes_and_leaves_nothing(size: int, path: Path) -> None:
    def work() -> str:
        with pytest.raises(DiskFullError) as caught:
            write_durably(path, write_new)
        return f"{errno.errorcode[caught.value.errno or 0]} {caught.value}"

    message = answer_with_limit(work, size)
    assert message.startswith(f"EFBIG cannot write {path}: ")
    (needed,) = re.findall(r"needs at least (\d+) bytes", message)
    assert size < int(needed) <= len(NEW)
    assert f"bytes are free in {path.parent}" in message
    assert path.read_bytes() == OLD
    assert beside(path) == []


@pytest.mark.parametrize("kept", [0, 30_000])
def test_a_full_disk_leaves_the_old_file_also_where_the_writer_hides_the_cause(kept: int, small_disk: Path) -> None:
    path = small_disk / "x"
    path.write_bytes(OLD)
    (small_disk / "other").write_bytes(bytes(kept))
    with pytest.raises(
        DiskFullError, match=rf"cannot write {path}: No space left.*; \d+ bytes are free in {small_disk}"
    ):
        write_durably(path, lambda file: torch.save({"w": torch.zeros(20_000)}, file))
    assert path.read_bytes() == OLD
    assert beside(path) == ["other"]


def test_a_folder_that_is_none_is_an_error_of_its_own(path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        write_durably(path / "below", write_new)
    with pytest.raises(FileNotFoundError):
        write_durably(path.parent / "missing" / "x", write_new)


def test_files_of_dead_writers_go_those_of_living_ones_stay(path: Path) -> None:
    with durable_file(path) as file:
        file.write(NEW)
        (mine,) = beside(path)
        assert remove_strays(path.parent) == []
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        machine, _, rest = mine.removeprefix(".name.txt.").partition("-")
        other = f"{int(machine, 16) ^ 1:08x}"
        random = rest.partition(".")[2]
        gone = f".name.txt.{machine}-{dead.pid}.{random}"
        names = [
            gone,
            f".a.{other}-{dead.pid}.{random}",
            f".b.{other}-{dead.pid}.{random}",
            ".mine.tmp",
            ".x.1-2.3.tmp",
        ]
        for name in names:
            path.with_name(name).touch()
        long_ago = time.time() - 2 * 24 * 3600
        os.utime(path.with_name(names[2]), (long_ago, long_ago))
        assert sorted(remove_strays(path.parent)) == [names[2], gone]
        assert beside(path) == sorted([mine, names[1], *names[3:]])
    assert path.read_bytes() == NEW
    assert remove_strays(path.parent / "missing") == []


def test_a_link_is_the_file_itself_and_outlives_its_replacement(path: Path) -> None:
    target = path.with_name("kept")
    for _ in range(2):  # the second time both are one file already
        link_durably(path, target)
        assert target.samefile(path)
        assert beside(path) == ["kept"]
    write_durably(path, write_new)
    assert target.read_bytes() == OLD


def test_a_copy_takes_the_place_of_a_link_to_another_file_system(path: Path) -> None:
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == path.stat().st_dev:
        pytest.skip("there is no second file system")
    target = Path("/dev/shm") / f"seqmodels-{os.getpid()}"
    try:
        link_durably(path, target)
        assert target.read_bytes() == OLD
    finally:
        target.unlink(missing_ok=True)


def test_one_writer_at_a_time_is_in_a_folder(path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(9):
            with exclusive(path.parent):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert (inside, most) == (0, 1)


def test_two_writers_of_one_file_leave_one_of_the_two(path: Path) -> None:
    contents = [bytes([65 + number]) * 30_000 for number in range(2)]

    def work(content: bytes) -> None:
        for _ in range(20):
            write_durably(path, lambda file: file.write(content))

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_bytes() in (OLD, *contents)
    assert path.read_bytes() in contents
    assert beside(path) == []
