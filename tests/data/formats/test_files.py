"""Published files: found plain or packed, verified by content."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from seqmodels.data.formats import files as module
from seqmodels.data.formats.files import DataFile, load, locate, require, unpacked

CONTENT = b"published content\n" * 7
FILE = DataFile("numbers.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), ())


def test_a_file_is_found_plain_and_packed_with_any_gzip_header(tmp_path: Path) -> None:
    assert locate(tmp_path, FILE) is None
    packed = tmp_path / "numbers.bin.gz"
    for level, mtime in ((1, 0), (9, 12345)):
        packed.write_bytes(gzip.compress(CONTENT, level, mtime=mtime))
        assert locate(tmp_path, FILE) == packed
        assert load(tmp_path, FILE) == CONTENT
    (tmp_path / "numbers.bin").write_bytes(CONTENT)
    assert locate(tmp_path, FILE) == tmp_path / "numbers.bin"
    assert load(tmp_path, FILE) == CONTENT


def test_a_packed_file_may_be_known_by_its_own_sha256(tmp_path: Path) -> None:
    other = b"the same, packed by somebody else, and longer\n" * 9
    packed = gzip.compress(other, mtime=0)
    (tmp_path / "numbers.bin.gz").write_bytes(packed)
    with pytest.raises(ValueError, match="holds more than 126 bytes"):
        load(tmp_path, FILE)
    assert load(tmp_path, FILE._replace(packed_sha256=hashlib.sha256(packed).hexdigest())) == other


def test_missing_files_are_named_with_their_folder_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"")
    files = [FILE._replace(name=name) for name in ("here", "one", "two")]
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} lacks one, two .*download=true"):
        require(tmp_path, files)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("numbers.bin", CONTENT[:-1], "holds 125 bytes unpacked, the published numbers.bin has 126"),
        ("numbers.bin", CONTENT + b"x" * 99, "holds more than 126 bytes"),
        ("numbers.bin", b"P" + CONTENT[1:], "is not the published numbers.bin: sha256"),
        ("numbers.bin.gz", gzip.compress(CONTENT)[:-9], "not a whole gzip file"),
        ("numbers.bin.gz", b"nothing packed", "not a whole gzip file"),
        ("numbers.bin.gz", gzip.compress(b"0" * 10**7), "holds more than 126 bytes"),
    ],
    ids=["short", "long", "another", "packed and cut", "not packed", "packed and long"],
)
def test_a_file_that_is_not_the_published_one_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{tmp_path / name} .*{reason}|{tmp_path / name} {reason}"):
        load(tmp_path, FILE)


def test_a_packed_file_with_any_one_byte_changed_never_loads_as_something_else(tmp_path: Path) -> None:
    whole = gzip.compress(CONTENT, mtime=0)
    path = tmp_path / "numbers.bin.gz"
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            assert load(tmp_path, FILE) == CONTENT  # a byte of the header that says nothing of the content
        except ValueError as error:
            assert "numbers.bin" in str(error)  # noqa: PT017


def test_a_packed_file_is_known_by_its_name_or_its_first_bytes(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "a.csv"):
        (tmp_path / name).write_bytes(gzip.compress(CONTENT))
        assert unpacked(tmp_path / name) == CONTENT


def test_what_unpacks_to_hundreds_of_times_its_size_is_refused_and_what_is_merely_large_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 1000)
    bomb, text = tmp_path / "bomb.gz", tmp_path / "text.gz"
    bomb.write_bytes(gzip.compress(bytes(100_000_000)))
    text.write_bytes(gzip.compress(b"".join(b"%d," % number for number in range(9999))))
    with pytest.raises(ValueError, match=r"bomb\.gz unpacks to more than .* unpack it to read it"):
        unpacked(bomb)
    assert unpacked(text).endswith(b",9998,")


def test_what_is_no_plain_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is no plain file"):
        unpacked(tmp_path / "pipe")
