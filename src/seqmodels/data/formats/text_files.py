"""Plain text files, decoded strictly and read one document at a time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines

SUFFIXES = (".txt", ".text", ".md", ".jsonl")
BLOCK = 1 << 16  # characters


def text_files(path: Path) -> list[Path]:
    """Return the file ``path``, or all text files under the folder ``path``, sorted by name.

    Raises:
        ValueError: no text files found.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"path={path}: there is no such file or folder")
    found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise ValueError(f"path={path}: the folder holds no file that ends in {', '.join(SUFFIXES)}")
    return found


def documents(
    files: Sequence[Path], *, encoding: str = "utf-8", separator: str | None = None, field: str = "text"
) -> Iterator[Iterator[str]]:
    """Yield the documents of the files one by one, each as an iterator of lines, so that memory holds a line at a time.

    A file is one document, or several separated by lines equal to ``separator`` (``""``: a blank line). In ``.jsonl``
    files, the ``field`` of each line is a document. A leading byte order mark is skipped.

    Raises:
        ValueError: a file is not in ``encoding``, or a JSON line lacks that text field; with file and line.
    """
    for file in files:
        lines = _lines(file, encoding)
        if file.suffix == ".jsonl":
            yield from _records(lines, file, field)
        elif separator is None:
            yield lines
        else:
            yield from _split_at(lines, separator)


def blocks(lines: Iterable[str]) -> Iterator[str]:
    """Join lines into blocks of about ``BLOCK`` characters, which are faster to process."""
    held, size = list[str](), 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= BLOCK:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


def _lines(file: Path, encoding: str) -> Iterator[str]:
    """Yield the lines of a file with line ends unchanged."""
    with file.open("rb") as source:
        yield from decoded_lines(source, str(file), encoding, newline="")


def _split_at(lines: Iterator[str], separator: str) -> Iterator[Iterator[str]]:
    """Split lines at each separator line; empty documents are skipped."""

    def numbered() -> Iterator[tuple[int, str]]:
        number = 0
        for line in lines:
            if line.rstrip("\r\n") == separator:
                number += 1
            else:
                yield number, line

    for _, group in groupby(numbered(), key=itemgetter(0)):
        yield (line for _, line in group)


def _records(lines: Iterator[str], file: Path, field: str) -> Iterator[Iterator[str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = parsed_json(line, f"{file}, line {number}")
        text = record.get(field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise ValueError(f"{file}, line {number}: must be an object with a text under {field!r}")
        yield iter([text])
