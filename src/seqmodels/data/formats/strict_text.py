"""Strict decoding: invalid bytes raise an error naming file, line and byte; nothing is guessed."""

import codecs
import io
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import IO, Literal

MARK = "\ufeff"  # optional byte order mark at the start of a file, not part of the text
CHUNK = 1 << 18  # bytes


def decoded(content: bytes, name: str, encoding: str = "utf-8") -> str:
    """Return ``content`` as text without a byte order mark; ``name`` is used in error messages.

    Raises:
        ValueError: not valid in that encoding; the message names line and byte.
    """
    try:
        return content.decode(encoding).removeprefix(MARK)
    except UnicodeError as error:
        raise _not_in(name, encoding, 1, 0, error) from error


def check_encoding(encoding: str) -> None:
    """Raise ``ValueError`` if Python does not know the encoding."""
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ValueError(f"encoding must be one that Python knows, like utf-8 or latin-1, got {encoding!r}") from error


def decoded_lines(
    source: IO[bytes], name: str, encoding: str = "utf-8", *, newline: Literal["", "\n"] = "\n"
) -> Iterator[str]:
    """Yield the lines of a file or pipe lazily, with line ends unchanged and without a byte order mark.

    A line ends with a line feed; if ``newline`` is empty, also with a carriage return or both.

    Raises:
        ValueError: as :func:`decoded`.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    read = getattr(source, "read1", source.read)  # on a pipe, returns the bytes available
    held = list[str]()  # parts of an unfinished line
    offset, line, at_start = 0, 1, True
    for chunk in chain(iter(partial(read, CHUNK), b""), [b""]):
        kept = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            raise _not_in(name, encoding, line, offset - kept, error) from error
        offset += len(chunk)
        line += text.count("\n")
        if at_start and text:
            text, at_start = text.removeprefix(MARK), False
        ended = "\n" in text or (not newline and ("\r" in text or "".join(held[-1:]).endswith("\r")))
        if not ended:
            held.append(text)
            continue
        lines = list(io.StringIO("".join([*held, text]), newline=newline))
        held = [lines.pop()] if lines and not lines[-1].endswith("\n") else []
        yield from lines
    if rest := "".join(held):
        yield rest


def _not_in(name: str, encoding: str, line: int, before: int, error: UnicodeError) -> ValueError:
    """Return the error for bytes that start at offset ``before`` of the file, in the given line."""
    what, likely = str(error), "latin-1"  # for the few codecs that give no position
    if isinstance(error, UnicodeDecodeError):
        line += error.object.count(b"\n", 0, error.start)
        if before + error.start == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            likely = "utf-16"
        what = f"byte 0x{error.object[error.start]:02x} at offset {before + error.start} is not {encoding}"
    return ValueError(
        f"{name}, line {line}: {what}; convert the file, for example by iconv -f {likely.upper()} -t UTF-8; "
        f"to train with it as it is, set data.encoding={likely} if the data set has that option"
    )
