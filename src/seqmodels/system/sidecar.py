"""The sha256 of a file in a file beside it, ``<name>.sha256``, as ``sha256sum`` writes and checks it.

Two files cannot be replaced in one step. So while a file is replaced its sidecar lists both digests, the new one first:
whichever of the two files has the name then is one that was written whole.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from seqmodels.system.durable import sha256_of, write_text

LINE = re.compile(r"([0-9a-f]{64}) [ *].+")


def sidecar(path: Path) -> Path:
    """Return the file that has the sha256 of a file."""
    return path.with_name(f"{path.name}.sha256")


def listed(path: Path) -> list[str] | None:
    """Return the digests in the sidecar of a file, or None where there is none."""
    try:
        lines = sidecar(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return [match[1] for line in lines if (match := LINE.fullmatch(line))]


def announce(path: Path, digest: str) -> None:
    """List the file that is about to come to ``path`` beside the one that is there."""
    _write(path, [digest, *_there(path)])


def settle(path: Path, digest: str) -> None:
    """List the file that has come to ``path`` alone."""
    _write(path, [digest])


def _there(path: Path) -> list[str]:
    """Return the digest of the file that is there; none where it is missing, or known to be damaged."""
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
