"""The SHA-256 sidecar of a file: it always lists the current file."""

from pathlib import Path

import pytest

from seqmodels.system.durable import sha256_of, write_durably
from seqmodels.system.sidecar import announce, commit, listed, sidecar

COMING, LOST = "c" * 64, "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    commit(path, write_durably(path, lambda file: file.write(b"old")))
    return path


def test_a_file_that_comes_is_listed_before_the_one_that_is_there(path: Path) -> None:
    announce(path, COMING)
    assert listed(path) == [COMING, sha256_of(path)]
    assert sidecar(path).read_text() == f"{COMING}  last.ckpt\n{sha256_of(path)}  last.ckpt\n"
    commit(path, COMING)
    assert listed(path) == [COMING]


@pytest.mark.parametrize("killed", ["before the file was replaced", "after it"])
def test_of_two_that_an_interrupted_replacing_left_the_one_that_is_there_stays(killed: str, path: Path) -> None:
    there = sha256_of(path)
    digests = [LOST, there] if killed == "before the file was replaced" else [there, LOST]
    sidecar(path).write_text("".join(f"{digest}  last.ckpt\n" for digest in digests))
    announce(path, COMING)
    assert listed(path) == [COMING, there]


def test_a_file_without_a_sidecar_is_listed_as_it_is_one_that_is_damaged_never(path: Path) -> None:
    there = sha256_of(path)
    sidecar(path).unlink()
    assert listed(path) is None
    announce(path, COMING)
    assert listed(path) == [COMING, there]
    for digests in ([], [LOST], [LOST, LOST[::-1]]):
        sidecar(path).write_text("".join(f"{digest}  last.ckpt\n" for digest in digests))
        announce(path, COMING)
        assert there not in (listed(path) or ())
    path.unlink()
    announce(path, COMING)
    assert listed(path) == [COMING]
