"""Recordings with classes or transcripts, before they are read."""

import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from seqmodels.data.audio.reading import SUFFIXES
from seqmodels.data.splitting import split_stratified

LIMIT = 2 << 30  # bytes of all recordings in an archive


class SoundFile(NamedTuple):
    """A file of sound, on disk or inside an archive."""

    place: str  # its name in messages
    content: bytes | None = None  # None: on disk, under that name

    def read(self) -> bytes:
        """Return its bytes.

        Raises:
            ValueError: it cannot be read.
        """
        if self.content is not None:
            return self.content
        try:
            return Path(self.place).read_bytes()
        except OSError as error:
            raise ValueError(f"{self.place} cannot be read: {error.strerror}") from error


class Recordings(NamedTuple):
    """Sound files with their classes or transcripts."""

    files: list[SoundFile]
    labels: list[str]
    """Per file, its class or its transcript."""
    classes: bool
    """Whether labels are classes."""
    label: str = "label"
    """Column of the labels in a table."""
    file: str = "file"
    """Column of the files in a table."""

    def take(self, rows: Sequence[int] | Tensor) -> "Recordings":
        """Select rows."""
        index = rows.tolist() if isinstance(rows, Tensor) else rows
        return self._replace(files=[self.files[row] for row in index], labels=[self.labels[row] for row in index])

    def split(self, shares: Sequence[float], seed: int) -> list["Recordings"]:
        """Split at random, stratified by class if labels are classes.

        Raises:
            ValueError: the shares are not positive or do not sum to 1.
        """
        index = {label: number for number, label in enumerate(dict.fromkeys(self.labels))}
        groups = torch.tensor([index[label] if self.classes else 0 for label in self.labels])
        return [self.take(rows) for rows in split_stratified(groups, shares, seed)]


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files below a folder, sorted; those whose name starts with a dot are left out.

    Raises:
        ValueError: it is no folder, or has none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    if not paths:
        raise ValueError(f"{folder} has no sound files ({', '.join(SUFFIXES)})")
    return sorted(path for path in paths if path.is_file())


def read_archive(content: bytes, name: str) -> Mapping[str, bytes]:
    """Return the sound files of a tar archive by their name, without folders; nothing is written to disk.

    Args:
        content: bytes of the archive.
        name: its name in messages.

    Raises:
        ValueError: the archive is damaged, two files have one name, or they are too large together.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r|") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isreg() or path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                    continue
                total += member.size
                if total > LIMIT:
                    raise ValueError(f"{name}: its recordings have more than {LIMIT} bytes together")
                if path.name in found:
                    raise ValueError(f"{name} has two files {path.name}")
                file = archive.extractfile(member)
                assert file is not None
                found[path.name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{name} cannot be read as an archive: {error}") from error
    return found
