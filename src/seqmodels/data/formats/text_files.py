"""Plain text files, decoded strictly and read one document at a time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from seqmodels.data.formats.files import opened, shown_name, unpacked_stream
from seqmodels.data.formats.strict_json import parsed_json
from seqmodels.data.formats.strict_text import decoded_lines
from seqmodels.data.formats.suffixes import SUFFIXES, suffix_of

TEXTS = tuple(suffix for suffix, kind in SUFFIXES.items() if kind in ("text", "jsonl"))
BLOCK = 1 << 16  # characters

Unit = Literal["file", "line"]


class DocumentFormat(NamedTuple):
    """How documents are written in text files.

    A ``file`` is a document, or several separated by lines equal to ``separator`` (``""``: blank lines); or each
    ``line`` is one, without its line end, and blank lines are skipped. In ``.jsonl`` files, the ``field`` of each line
    is a document.

    Example:
        >>> DocumentFormat(unit="line", encoding="latin-1").checked().separator is None
        True
    """

    unit: Unit = "file"
    separator: str | None = None
    field: str = "text"
    encoding: str = "utf-8"

    def checked(self) -> "DocumentFormat":
        """Return the format.

        Raises:
            ValueError: a value is not among its choices; the message names the option.
        """
        if self.unit not in get_args(Unit):
            raise ValueError(f"documents must be one of {', '.join(get_args(Unit))}, got {self.unit!r}")
        if self.unit == "line" and self.separator is not None:
            raise ValueError(f"separator={self.separator!r} has no effect with documents=line: leave one of them out")
        return self


class Document(NamedTuple):
    """A document as an iterator of lines, and its location: ``"my.txt, line 3"``."""

    place: str
    lines: Iterator[str]


class FileFields(dict[str, Any]):
    """Fields of a record that is a whole text file: ``file``, ``text``, ..."""


def text_files(path: Path) -> list[Path]:
    """Return the file ``path``, or all text files under the folder ``path``, plain or ``.gz``, sorted by name.

    Raises:
        ValueError: no text files found.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"path={path}: there is no such file or folder")
    found = sorted(file for file in path.rglob("*") if suffix_of(file.name) in TEXTS and file.is_file())
    if not found:
        raise ValueError(f"path={path}: the folder holds no file that ends in {', '.join(TEXTS)}, plain or with .gz")
    return found


def documents(files: Sequence[Path], form: DocumentFormat) -> Iterator[Iterator[str]]:
    """Yield the documents of files one by one, each as an iterator of lines, so that memory holds a line at a time.

    A leading byte order mark is skipped.

    Raises:
        ValueError: a file is not in its encoding or not a whole gzip file, or a JSON line lacks that text field; with
            file and line.
    """
    for file in files:
        json, lines = is_json_lines(file), lines_of(str(file), form.encoding)
        if form.unit == "line" and not json:
            lines = filter(str.strip, lines)  # blank lines are no documents
        for document in split_documents(lines, str(file), form, json=json):
            yield document.lines


def split_documents(lines: Iterator[str], name: str, form: DocumentFormat, *, json: bool) -> Iterator[Document]:
    """Yield the documents in the lines of a file; ``json``: it holds JSON lines.

    Of a file with a document on each line, all lines are documents, also blank ones.
    """
    if json:
        return _records(lines, name, form.field)
    if form.unit == "line":
        return (
            Document(f"{name}, line {number}", iter([line.rstrip("\r\n")]))
            for number, line in enumerate(lines, start=1)
        )
    return iter([Document(name, lines)]) if form.separator is None else _split_at(lines, name, form.separator)


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


def is_json_lines(file: Path) -> bool:
    """Return whether the name of a file says that each line is a JSON object."""
    return SUFFIXES.get(suffix_of(file.name)) == "jsonl"


def lines_of(path: str, encoding: str) -> Iterator[str]:
    """Yield the lines of a file, plain or ``.gz``, or of standard input for ``-``, with line ends unchanged.

    Raises:
        ValueError: it cannot be read, is not in that encoding or not a whole gzip file; with file and line.
    """
    name = shown_name(path)
    with opened(path) as source:
        yield from decoded_lines(unpacked_stream(source, name), name, encoding, newline="")


def _split_at(lines: Iterator[str], name: str, separator: str) -> Iterator[Document]:
    """Split lines at each separator line; empty documents are skipped."""

    def numbered() -> Iterator[tuple[int, int, str]]:
        document = 0
        for number, line in enumerate(lines, start=1):
            if line.rstrip("\r\n") == separator:
                document += 1
            else:
                yield document, number, line

    for _, group in groupby(numbered(), key=itemgetter(0)):
        rest = iter(group)
        _, number, first = next(rest)
        yield Document(f"{name}, line {number}", chain([first], (line for _, _, line in rest)))


def _records(lines: Iterator[str], name: str, field: str) -> Iterator[Document]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        record = parsed_json(line, place)
        text = record.get(field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise ValueError(f"{place}: must be an object with a text under {field!r}")
        yield Document(place, iter([text]))
