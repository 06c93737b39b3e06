"""Tokens in one file that is mapped into memory, so that a text may be larger than memory.

The file holds, one after the other: the tokens, in the smallest type of whole numbers that fits the vocabulary; the
offsets of the documents as 64 bit integers; a header in JSON, which says what the file was made from; the header's
length and a mark. The mark comes last, so that a file that was cut off is none.
"""

import json
import os
import secrets
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from seqmodels.data.corpus import Corpus, token_type

MARK = b"seqmodels tokens 1"
END = struct.Struct(f"<Q{len(MARK)}s")
ALIGNMENT = 8  # bytes, of the offsets


Documents = Iterable[Iterable[Sequence[int]]]
"""Tokens of documents, each of them piece by piece."""


def token_file(
    path: Path, documents: Documents, *, vocab_size: int, edge: int | None, origin: Mapping[str, Any]
) -> Corpus:
    """Return the corpus in the file ``path``; write the file first unless one that was made from ``origin`` is there.

    Documents are asked for one after the other, and only then. The file gets its name once it is whole and on disk, in
    one step; what an interrupted writing left behind goes with the next.

    Raises:
        ValueError: there is no document, or several without an ``edge``.
        OSError: the file cannot be written.
    """
    made = read_tokens(path, origin)
    if made is not None:
        return made
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".*.{path.name}"):
        left.unlink(missing_ok=True)
    part = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        with part.open("wb") as out:
            _write(out, documents, vocab_size, edge, origin)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    made = read_tokens(path, origin)
    assert made is not None
    return made


def read_tokens(path: Path, origin: Mapping[str, Any]) -> Corpus | None:
    """Map the file into memory; None where there is none, it is not whole, or it was made from something else."""
    header = _header(path)
    if header is None or header["origin"] != json.loads(json.dumps(origin)):
        return None
    kind = np.dtype(header["type"])
    tokens = np.memmap(path, kind, "r", 0, (header["tokens"],))
    offsets = np.memmap(path, "<i8", "r", _aligned(header["tokens"] * kind.itemsize), (header["documents"] + 1,))
    return Corpus(tokens, np.array(offsets))


def made_from(path: Path) -> dict[str, Any] | None:
    """Return what a whole file says it was made from, or None."""
    header = _header(path)
    return None if header is None else header["origin"]


def _header(path: Path) -> dict[str, Any] | None:
    """Return the header of a file, or None where it is missing or the file is not whole."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END.size))
            length, mark = END.unpack(file.read())
            file.seek(max(0, size - END.size - length))
            header: dict[str, Any] = json.loads(file.read(length))
    except (FileNotFoundError, struct.error, ValueError):
        return None
    expected = _aligned(header["tokens"] * np.dtype(header["type"]).itemsize) + 8 * (header["documents"] + 1)
    return header if mark == MARK and size == expected + length + END.size else None


def _write(out: BinaryIO, documents: Documents, vocab_size: int, edge: int | None, origin: Mapping[str, Any]) -> None:
    kind = token_type(vocab_size).newbyteorder("<")
    border = np.array([] if edge is None else [edge], kind)
    offsets = array("q", [0])
    for document in documents:
        if edge is None and len(offsets) == 2:
            raise ValueError("without a token for the edge of a document there must be one, got several")
        count = out.write(border.tobytes())
        for tokens in document:
            count += out.write(np.asarray(tokens, kind).tobytes())
        offsets.append(offsets[-1] + count // kind.itemsize)
    if len(offsets) == 1:
        raise ValueError("there is no document")
    out.write(border.tobytes())
    count = offsets[-1] + len(border)
    if edge is None:
        offsets[-1] = max(offsets[-1] - 1, 0)
    out.write(bytes(_aligned(out.tell()) - out.tell()))
    out.write(np.asarray(offsets, "<i8").tobytes())
    facts = {"tokens": count, "documents": len(offsets) - 1, "type": kind.str, "origin": origin}
    header = json.dumps(facts).encode()
    out.write(header + END.pack(len(header), MARK))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
