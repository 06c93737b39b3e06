"""Reading of checkpoint files: checked against a SHA-256 sidecar file, as plain data only.

``last.ckpt`` has a sidecar ``last.ckpt.sha256`` (:mod:`seqmodels.system.sidecar`). A checkpoint whose digest is not in
its sidecar is never read; one without a sidecar (copied, or from an older version) is read after the checksums inside
the archive have been verified.
"""

import hashlib
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch

from seqmodels.errors import ConfigError, CorruptCheckpointError, ForeignCheckpointError, UnsupportedVersionError
from seqmodels.system.durable import remove_strays
from seqmodels.system.sidecar import listed, sidecar
from seqmodels.training.checkpoint_format import check_recipe, migrated

logger = logging.getLogger(__name__)

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
KEPT = (LAST, PREVIOUS, BEST)  # never removed; in the order in which a run resumes from them

PathLike = str | os.PathLike[str]


def load_checkpoint(path: PathLike, map_location: Any | None = "cpu") -> dict[str, Any]:
    """Return the content of a checkpoint: plain data, migrated to the current format.

    Raises:
        CorruptCheckpointError: the file is missing, damaged or foreign, or holds more than plain data.
        ConfigError: a newer version of the package wrote it.
    """
    return _read(Path(path), map_location, recipe=False)


def read_checkpoint(path: PathLike) -> dict[str, Any]:
    """Return the content of a checkpoint that also holds the recipe of its model.

    Raises:
        CorruptCheckpointError: the file is missing, damaged or foreign, or holds more than plain data.
        ConfigError: a newer version of the package wrote it.
    """
    return _read(Path(path), "cpu", recipe=True)


def newest_valid(folder: Path) -> Path | None:
    """Return the newest usable checkpoint of a folder, or None if the folder has no checkpoint.

    That is the first usable one of ``last.ckpt``, ``previous.ckpt`` and ``best.ckpt``; each one skipped is logged with
    the reason. Temporary files of killed processes are removed.

    Raises:
        CorruptCheckpointError: none of its checkpoints can be used.
        ConfigError: a newer version of the package wrote one; an older checkpoint must not silently replace it.
    """
    remove_strays(folder)
    refused = []
    for path, error in _candidates(folder):
        if error is None:
            return path
        logger.warning("%s", error)
        refused.append(path.name)
    if refused:
        raise CorruptCheckpointError(f"none of the checkpoints in {folder} can be used: {', '.join(refused)}")
    return None


def _read(path: Path, map_location: Any, *, recipe: bool) -> dict[str, Any]:
    """Read a checkpoint; if it cannot be used, name one in the same folder that can."""
    try:
        return _checked(path, map_location, recipe=recipe)
    except CorruptCheckpointError as error:
        good = next((other for other, fault in _candidates(path.parent, without=path) if fault is None), None)
        if good is None:
            raise
        raise CorruptCheckpointError(f"{error}; {good} can be used") from error.__cause__


def _candidates(folder: Path, without: Path | None = None) -> Iterator[tuple[Path, CorruptCheckpointError | None]]:
    """Yield the checkpoints of a folder that a run can resume from, each with its error or None."""
    for path in (folder / name for name in KEPT):
        if path != without and os.path.lexists(path):
            try:
                _checked(path, "cpu", recipe=True)
            except CorruptCheckpointError as error:
                yield path, error
            else:
                yield path, None


def _checked(path: Path, map_location: Any, *, recipe: bool) -> dict[str, Any]:
    try:
        checkpoint = migrated(_content(local_path(path).resolve(), map_location))
        if recipe:
            check_recipe(checkpoint)
    except UnsupportedVersionError as error:
        raise ConfigError(f"cannot read the checkpoint {path}: {error}; update seqmodels to use it") from error
    except ForeignCheckpointError as error:
        raise CorruptCheckpointError(f"{path} is not a checkpoint of seqmodels: {error}") from error
    except Exception as error:
        raise CorruptCheckpointError(f"cannot read the checkpoint {path}: {_reason(error)}") from error
    return checkpoint


def _content(path: Path, map_location: Any) -> Any:
    """Return the content of a file after verifying its digest; retry if the file is replaced in the meantime."""
    with path.open("rb") as file:
        known = listed(path)
        if known is not None and hashlib.file_digest(file, "sha256").hexdigest() not in known:
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()) or listed(path) != known:
                return _content(path, map_location)
            raise ValueError(f"its sha256 is not in {sidecar(path).name}: it was damaged or modified")
        _check_archive(file, contents=known is None)
        file.seek(0)
        return torch.load(file, map_location=map_location, weights_only=True)


def _check_archive(file: BinaryIO, *, contents: bool) -> None:
    """Check that a file is an archive as torch writes it; with ``contents``, also the checksum of each part."""
    file.seek(0)
    start = file.read(4)
    if not start:
        raise ValueError("it is empty")
    if start != b"PK\x03\x04":
        raise ValueError("torch.save did not write it")
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):  # a few bytes may expand to gigabytes
            raise ValueError("its parts are compressed, as torch.save never does")
        if any(part.external_attr for part in parts):  # torch leaves the memory of parts marked as folders unfilled
            raise ValueError("its list of parts is damaged")
        damaged = archive.testzip() if contents else None
    if damaged is not None:
        raise ValueError(f"its part {damaged} is damaged")


def local_path(path: PathLike) -> Path:
    if "://" in os.fspath(path):
        raise ConfigError(f"checkpoints are local files, got {os.fspath(path)}")
    return Path(path)


def _reason(error: Exception) -> str:
    """Return a short reason why a file cannot be read; the messages of torch and pickle are long or empty."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return error.strerror or repr(error)
    if isinstance(error, zipfile.BadZipFile):
        return "it is cut off or damaged"
    if isinstance(error, UnpicklingError):
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        return "it is damaged, or holds more than plain data" + (f" ({found[1]})" if found else "")
    return (str(error) or repr(error)).splitlines()[0]
