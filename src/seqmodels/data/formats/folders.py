"""Texts in one folder per class, e.g. ``pos/1.txt``, on disk or inside an archive that is read in place."""

import tarfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO

from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.records import Record
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.formats.text_files import FileFields
from seqmodels.data.raw import LabelledTexts

PATTERNS = ("*.txt", "*.txt.gz")
LIMIT = 16 << 20  # bytes; a larger file is not a text
TOTAL = 2 << 30  # bytes of all texts in an archive


def read_folders(path: Path, *, encoding: str = "utf-8") -> LabelledTexts:
    """Return the ``.txt`` files, plain or ``.gz``, in the subfolders of a folder; the subfolder name is the label.

    Raises:
        ValueError: fewer than two folders with texts, or a text has another encoding or is not a regular file; with its
            path.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is no folder")
    found = LabelledTexts([], [], [])
    for file in sorted(chain.from_iterable(path.glob(f"*/{pattern}") for pattern in PATTERNS)):
        if not file.parent.name.isprintable():  # a name that is not UTF-8 or could be mistaken for another
            raise ValueError(f"{str(file.parent)!r}: the name of a folder is a label, and must be printable")
        _add(found, unpacked(file), file.parent.name, str(file), encoding)
    if len(set(found.labels)) < 2:
        raise ValueError(f"{path} must hold at least two folders with .txt files, one for each class")
    return found


def text_records(path: Path, label: str, encoding: str) -> Iterator[Record]:
    """Yield the ``.txt`` files under a folder, plain or ``.gz``, with the name of the subfolder of each as its label.

    Raises:
        ValueError: there are none, or a text has another encoding or is not a regular file; with its path.
    """
    files = sorted(chain.from_iterable(path.rglob(pattern) for pattern in PATTERNS))
    if not files:
        raise ValueError(f"{path} has no .txt files, plain or with .gz")
    for file in files:
        fields = FileFields(file=str(file.relative_to(path)), text=decoded(unpacked(file), str(file), encoding))
        if file.parent != path:
            fields[label] = file.parent.name
        yield Record(str(file), fields)


def read_tar(source: IO[bytes], path: str, *, encoding: str = "utf-8") -> dict[str, LabelledTexts]:
    """Return the texts of a tar archive of ``[folder/]part/label/name.txt`` by part; the archive may be compressed.

    ``path`` is used in error messages. Other files are ignored, nothing is extracted to disk, and only regular files
    are read, which rules out path traversal.

    Raises:
        ValueError: the archive is damaged, or a text is too large or has another encoding; with its name.
    """
    members: dict[tuple[str, str, str], bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=source, mode="r|*") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts[-3:]
                if not member.isreg() or len(parts) < 3 or not parts[2].endswith(".txt"):
                    continue
                if member.size > LIMIT:
                    raise ValueError(f"{path}: {member.name} has {member.size} bytes, a text at most {LIMIT}")
                total += member.size
                if total > TOTAL:
                    raise ValueError(f"{path}: its texts have more than {TOTAL} bytes together")
                content = archive.extractfile(member)
                assert content is not None
                members[parts[0], parts[1], parts[2]] = content.read()
    except (tarfile.TarError, EOFError, OSError, TypeError, zlib.error) as error:  # TypeError: truncated header
        raise ValueError(f"{path} cannot be read as an archive: {error}") from error
    found: dict[str, LabelledTexts] = {}
    for part, label, name in sorted(members):
        texts = found.setdefault(part, LabelledTexts([], [], []))
        _add(texts, members[part, label, name], label, f"{path}: {part}/{label}/{name}", encoding)
    return found


def _add(found: LabelledTexts, content: bytes, label: str, place: str, encoding: str) -> None:
    found.texts.append(decoded(content, place, encoding))
    found.labels.append(label)
    found.places.append(place)
