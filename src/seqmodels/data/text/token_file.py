"""Memory-mapped token files, for texts larger than memory.

Layout: the tokens, in the smallest integer dtype that fits the vocabulary; the document offsets as 64-bit integers; a
JSON header with the origin of the file, counts of its text and the CRC-32 of everything before it; the length and the
CRC-32 of the header and a magic mark. The mark is last, so that truncated files are invalid, as are changed ones.
"""

import json
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from seqmodels.data.text.corpus import Corpus, Counts, token_type
from seqmodels.system.durable import remove_strays, write_durably

MARK = b"seqmodels tokens 3"
END = struct.Struct(f"<QI{len(MARK)}s")
ALIGNMENT = 8  # bytes, of the offsets array
CHUNK = 1 << 20  # bytes

Documents = Iterable[Iterable[Sequence[int]]]
"""Tokens of documents, each in pieces."""


def token_file(
    path: Path,
    documents: Documents,
    *,
    vocab_size: int,
    edge: int | None,
    origin: Mapping[str, Any],
    counts: Callable[[], Counts] = Counts,
) -> Corpus:
    """Return the corpus in the file ``path``, writing it first unless one made from ``origin`` exists.

    Documents are only read, one by one, if the file is written; ``counts`` is then called for the statistics
    of their text. The file is renamed atomically once complete and on disk; leftovers of an interrupted write are
    removed by the next.

    Raises:
        ValueError: no documents, or several without ``edge``.
        OSError: the file cannot be written.
    """
    made = read_tokens(path, origin)
    if made is not None:
        return made
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_strays(path.parent)
    write_durably(
        path, partial(_write, documents=documents, vocab_size=vocab_size, edge=edge, origin=origin, counts=counts)
    )
    made = read_tokens(path, origin)
    assert made is not None
    return made


def read_tokens(path: Path, origin: Mapping[str, Any]) -> Corpus | None:
    """Map the file into memory; None if it is missing, incomplete or made from another origin.

    The file is read once to verify its checksum: about a second per gigabyte.
    """
    header = _header(path)
    if header is None or header["origin"] != json.loads(json.dumps(origin)) or header["crc32"] != _crc32(path, header):
        return None
    kind = np.dtype(header["type"])
    tokens = np.memmap(path, kind, "r", 0, (header["tokens"],))
    offsets = np.memmap(path, "<i8", "r", _aligned(header["tokens"] * kind.itemsize), (header["documents"] + 1,))
    return Corpus(tokens, np.array(offsets), Counts(*header["counts"]))


def made_from(path: Path) -> dict[str, Any] | None:
    """Return the origin recorded in a complete file, or None."""
    header = _header(path)
    return None if header is None else header["origin"]


def _header(path: Path) -> dict[str, Any] | None:
    """Return the header of a file, or None if the file is missing or incomplete."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END.size))
            length, crc32, mark = END.unpack(file.read())
            if mark != MARK or length > size - END.size:
                return None
            file.seek(size - END.size - length)
            text = file.read(length)
    except (FileNotFoundError, struct.error):
        return None
    if zlib.crc32(text) != crc32:
        return None
    header: dict[str, Any] = json.loads(text)
    return header if size == _body(header) + length + END.size else None


def _body(header: Mapping[str, Any]) -> int:
    """Return the number of bytes before a header."""
    return _aligned(header["tokens"] * np.dtype(header["type"]).itemsize) + 8 * (header["documents"] + 1)


def _crc32(path: Path, header: Mapping[str, Any]) -> int:
    """Return the CRC-32 of the bytes before the header of a file."""
    crc32, left = 0, _body(header)
    with path.open("rb") as file:
        while chunk := file.read(min(CHUNK, left)):
            crc32, left = zlib.crc32(chunk, crc32), left - len(chunk)
    return crc32


def _write(
    out: BinaryIO,
    documents: Documents,
    *,
    vocab_size: int,
    edge: int | None,
    origin: Mapping[str, Any],
    counts: Callable[[], Counts],
) -> None:
    kind = token_type(vocab_size).newbyteorder("<")
    border = np.array([] if edge is None else [edge], kind)
    offsets = array("q", [0])
    crc32 = 0

    def put(data: bytes) -> int:
        nonlocal crc32
        crc32 = zlib.crc32(data, crc32)
        return out.write(data)

    for document in documents:
        if edge is None and len(offsets) == 2:
            raise ValueError("without a token for the edge of a document there must be one, got several")
        count = put(border.tobytes())
        for tokens in document:
            count += put(np.asarray(tokens, kind).tobytes())
        offsets.append(offsets[-1] + count // kind.itemsize)
    if len(offsets) == 1:
        raise ValueError("there is no document")
    put(border.tobytes())
    count = offsets[-1] + len(border)
    if edge is None:
        offsets[-1] = max(offsets[-1] - 1, 0)
    put(bytes(_aligned(out.tell()) - out.tell()))
    put(np.asarray(offsets, "<i8").tobytes())
    facts = {"tokens": count, "documents": len(offsets) - 1, "type": kind.str, "crc32": crc32, "counts": counts()}
    header = json.dumps({**facts, "origin": origin}).encode()
    out.write(header + END.pack(len(header), zlib.crc32(header), MARK))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
