"""Archives from outside: read where they lie, nothing of them reaches the disk, and none fills the memory."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from seqmodels.data.formats import folders as module
from seqmodels.data.formats.folders import read_folders, read_tar

SECRET = "what stands elsewhere"


def archive(*members: tuple[str, bytes, bytes, str]) -> io.BytesIO:
    """Return an archive of members: name, type, content, and what a link leads to."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, kind, content, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), link
            info.devmajor, info.devminor = 1, 5  # /dev/zero, where it is a device
            tar.addfile(info, io.BytesIO(content))
    target.seek(0)
    return target


@pytest.mark.parametrize("name", ["../../train/pos/1.txt", "/train/pos/1.txt", "a/../train/pos/1.txt"])
def test_names_that_lead_out_of_an_archive_write_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    found = read_tar(archive((name, tarfile.REGTYPE, b"text", "")), "a.tar")
    assert found["train"].texts == ["text"]
    assert [path.name for path in tmp_path.rglob("*")] == ["one", "two"]
    assert not Path("/train").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_devices_and_folders_in_an_archive_are_passed_over(kind: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text(SECRET, encoding="utf-8")
    link = ("a/train/pos/link.txt", kind, b"", str(tmp_path / "secret.txt"))
    found = read_tar(archive(("a/train/pos/1.txt", tarfile.REGTYPE, b"yes", ""), link), "a.tar")
    assert found["train"].texts == ["yes"]


def test_a_text_or_texts_that_would_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 1000)
    large = archive(("a/train/pos/1.txt", tarfile.REGTYPE, bytes(5_000_000), ""))
    assert len(large.getvalue()) < 9000, "a thousand times smaller than what it holds"
    with pytest.raises(ValueError, match=r"a\.tar: a/train/pos/1\.txt has 5000000 bytes, a text at most 1000"):
        read_tar(large, "a.tar")
    monkeypatch.setattr(module, "TOTAL", 2500)
    many = [(f"a/train/pos/{number}.txt", tarfile.REGTYPE, bytes(900), "") for number in range(3)]
    with pytest.raises(ValueError, match=r"a\.tar: its texts have more than 2500 bytes together"):
        read_tar(archive(*many), "a.tar")


@pytest.mark.parametrize("cut", [1, 3, 60, 300])
def test_a_damaged_archive_is_refused_by_name(cut: int) -> None:
    whole = archive(("a/train/pos/1.txt", tarfile.REGTYPE, os.urandom(400), "")).getvalue()
    with pytest.raises(ValueError, match=r"a\.tar cannot be read as an archive"):
        read_tar(io.BytesIO(whole[:cut]), "a.tar")
    with pytest.raises(ValueError, match=r"a\.tar cannot be read as an archive"):
        read_tar(io.BytesIO(gzip.compress(b"no archive")), "a.tar")


def test_a_pipe_in_a_folder_of_texts_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    os.mkfifo(tmp_path / "pos" / "1.txt")
    with pytest.raises(ValueError, match=r"pos/1\.txt is no plain file"):
        read_folders(tmp_path)


def test_a_label_that_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"text")
    with pytest.raises(ValueError, match="the name of a folder is a label, and must be printable"):
        read_folders(tmp_path)
