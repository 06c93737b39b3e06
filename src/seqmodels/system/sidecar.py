"""Sidecar files ``<name>.sha256`` with the SHA-256 of a file, in the format of ``sha256sum``.

Two files cannot be replaced in one atomic step. While a file is being replaced, its sidecar therefore lists both
digests, the new one first, so that the file under that name always matches one of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from seqmodels.system.durable import sha256_of, write_text

LINE = re.compile(r"([0-9a-f]{64}) [ *].+")


def sidecar(path: Path) -> Path:
    """Return the path of the sidecar of a file."""
    return path.with_name(f"{path.name}.sha256")


def listed(path: Path) -> list[str] | None:
    """Return the digests in the sidecar of a file, or None if it has no sidecar."""
    try:
        lines = sidecar(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return [match[1] for line in lines if (match := LINE.fullmatch(line))]


def announce(path: Path, digest: str) -> None:
    """List the digest of the file that is about to replace ``path``, in addition to the current one."""
    _write(path, [digest, *_current(path)])


def commit(path: Path, digest: str) -> None:
    """List only the digest of the file that is now at ``path``."""
    _write(path, [digest])


def _current(path: Path) -> list[str]:
    """Return the digest of the current file; an empty list if it is missing, or known to be damaged."""
    known = listed(path)
    if not path.is_file():
        return []
    if known is not None and len(known) == 1:
        return known
    digest = sha256_of(path)
    return [digest] if known is None or digest in known else []


def _write(path: Path, digests: Sequence[str]) -> None:
    lines = list(dict.fromkeys(digests))
    if lines != listed(path):
        write_text(sidecar(path), "".join(f"{digest}  {path.name}\n" for digest in lines))
