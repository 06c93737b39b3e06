"""Reading of files, packed or not, and verification of published ones."""

import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, NamedTuple, cast


class DataFile(NamedTuple):
    """A published file, stored plain or compressed as ``name.gz``; the uncompressed content is verified."""

    name: str  # uncompressed
    size: int  # bytes, uncompressed
    sha256: str  # uncompressed
    urls: tuple[str, ...]  # mirrors; a download ending in .gz is kept compressed
    packed_sha256: str = ""  # of a compressed file that is accepted whatever its content; empty: none


def github_file(repository: str, path: str, commit: str, size: int, sha256: str, *, branch: str = "master") -> DataFile:
    """Describe a file of a GitHub repository, at a commit with known content and on its branch."""
    urls = tuple(f"https://raw.githubusercontent.com/{repository}/{at}/{path}" for at in (commit, branch))
    return DataFile(path.rpartition("/")[2].removesuffix(".gz"), size, sha256, urls)


def locate(folder: Path, file: DataFile) -> Path | None:
    """Return the path of ``file`` in ``folder``, plain or with ``.gz``, or ``None`` if missing."""
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        if path.is_file():
            return path
    return None


def require(folder: Path, files: Sequence[DataFile]) -> None:
    """Raise ``FileNotFoundError``, naming the folder and every missing file, unless all of them exist."""
    missing = [file.name for file in files if locate(folder, file) is None]
    if missing:
        raise FileNotFoundError(
            f"{folder.absolute()} lacks {', '.join(missing)} (plain or with .gz): "
            "put the published files there, or allow their download (data.download=true, `seqmodels data download`)"
        )


MOST = 64 << 20  # uncompressed bytes; only beyond them is the ratio checked
GZIP = b"\x1f\x8b"  # first bytes of a gzip file
RATIO = 200  # times the compressed size: text and numbers stay far below, a decompression bomb does not


def unpacked(path: Path, *, limit: int | None = None, packed: bool | None = None) -> bytes:
    """Return the bytes of ``path``, decompressed if ``packed``; at most ``limit + 1`` of them.

    By default, a file is considered ``packed`` if its name ends in ``.gz`` or it starts like a gzip file.

    Raises:
        ValueError: not a regular file; or the compressed data are damaged or truncated, or expand by a factor of
            hundreds and no ``limit`` is given.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no plain file")
    amount = -1 if limit is None else limit + 1
    with path.open("rb") as plain:
        starts_packed = plain.read(len(GZIP)) == GZIP
        if not (path.suffix == ".gz" or starts_packed if packed is None else packed):
            plain.seek(0)
            return plain.read(amount)
    most = max(MOST, RATIO * path.stat().st_size)
    try:
        with gzip.open(path) as archive:
            content = archive.read(most + 1 if limit is None else amount)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from error
    if limit is None and len(content) > most:
        raise ValueError(f"{path} unpacks to more than {most} bytes, {RATIO} times its size: unpack it to read it")
    return content


def shown_name(path: str | Path) -> str:
    """Return the name of a file in messages; ``-`` is standard input."""
    return "standard input" if str(path) == "-" else str(path)


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for ``-``.

    Raises:
        ValueError: it cannot be read.
    """
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(path).open("rb")  # noqa: SIM115
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    with source:
        yield source


def whole_content(path: str | Path) -> bytes:
    """Return the bytes of a file, decompressed if packed, or those of standard input for ``-``.

    Raises:
        ValueError: it cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return unpacked(Path(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def unpacked_stream(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return a stream, decompressed lazily if it starts like a gzip file or is named like one.

    Reading it raises ``ValueError``, naming the file, if the compressed data are damaged or truncated.
    """
    buffered: Any = stream if hasattr(stream, "peek") else BufferedReader(cast(RawIOBase, stream))
    if buffered.peek(len(GZIP))[: len(GZIP)] != GZIP and not name.endswith(".gz"):
        return cast(IO[bytes], buffered)
    return BufferedReader(_GzipStream(buffered, name))


class _GzipStream(RawIOBase):
    """The content of a gzip stream, whose errors name the file."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._archive = gzip.GzipFile(fileobj=stream)
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._archive.readinto(buffer)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{self._name} is not a whole gzip file: {error}") from error


def published_bytes(path: Path, file: DataFile, *, packed: bool | None = None) -> bytes:
    """Return the :func:`unpacked` content of ``path`` after verifying that it is that of ``file``.

    Raises:
        ValueError: its size or sha256 differs.
    """
    if file.packed_sha256 and hashlib.sha256(path.read_bytes()).hexdigest() == file.packed_sha256:
        return unpacked(path, packed=True)
    content = unpacked(path, limit=file.size, packed=packed)
    if len(content) != file.size:
        size = f"more than {file.size}" if len(content) > file.size else str(len(content))
        raise ValueError(f"{path} holds {size} bytes unpacked, the published {file.name} has {file.size}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ValueError(f"{path} is not the published {file.name}: sha256 {digest}, expected {file.sha256}")
    return content


def load(folder: Path, file: DataFile) -> bytes:
    """Return the verified, uncompressed content of ``file`` in ``folder``.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is damaged or a different file.
    """
    require(folder, [file])
    path = locate(folder, file)
    assert path is not None
    return published_bytes(path, file)
