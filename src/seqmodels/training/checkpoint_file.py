"""Writing of checkpoint files: atomically, with a SHA-256 sidecar file; :mod:`~seqmodels.training.checkpoint_reading`
reads them."""

import logging
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lightning.pytorch.plugins import CheckpointIO

from seqmodels.errors import DiskFullError
from seqmodels.system.durable import link_durably, sha256_of, write_durably
from seqmodels.system.locks import exclusive
from seqmodels.system.sidecar import announce, commit, listed, sidecar
from seqmodels.training.checkpoint_reading import KEPT, PREVIOUS, PathLike, load_checkpoint, local_path

logger = logging.getLogger(__name__)

OnFullDisk = Literal["stop", "warn"]


class DurableCheckpointIO(CheckpointIO):
    """Write and read the checkpoints of a trainer so that the last valid one survives any failure.

    Args:
        on_full_disk: what to do if there is no disk space for a checkpoint: ``"stop"`` raises
            :class:`~seqmodels.errors.DiskFullError`, ``"warn"`` logs a warning and continues training. The existing
            file is kept in both cases.
    """

    def __init__(self, on_full_disk: OnFullDisk = "stop") -> None:
        if on_full_disk not in get_args(OnFullDisk):
            raise ValueError(f"on_full_disk must be one of {get_args(OnFullDisk)}, got {on_full_disk!r}")
        self.on_full_disk = on_full_disk

    def save_checkpoint(self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any | None = None) -> None:
        """Replace the checkpoint at ``path`` atomically.

        Raises:
            DiskFullError: there is no disk space, and ``on_full_disk`` is ``"stop"``.
            OSError: it cannot be written for another reason.
        """
        if storage_options is not None:
            raise TypeError(f"checkpoints are local files: storage_options must be None, got {storage_options!r}")
        target = local_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive(target.parent):
                digest = write_durably(target, partial(torch.save, checkpoint), announce=partial(announce, target))
                commit(target, digest)
        except DiskFullError as error:
            if self.on_full_disk == "stop":
                raise
            logger.warning("%s; training continues without this checkpoint", error)

    def load_checkpoint(
        self, path: PathLike, map_location: Any | None = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Return the content of a checkpoint; see :func:`load_checkpoint`.

        Raises:
            CorruptCheckpointError: it cannot be used.
            ValueError: ``weights_only`` is False.
        """
        if weights_only is False:
            raise ValueError("a checkpoint is read as plain data: weights_only must not be False")
        return load_checkpoint(path, map_location)

    def remove_checkpoint(self, path: PathLike) -> None:
        """Remove a checkpoint and its sidecar, but never the last, the previous or the best one.

        A failure is only logged: a leftover file is no reason to stop training.
        """
        target = local_path(path)
        if target.name in KEPT:
            return
        try:
            target.unlink(missing_ok=True)
            sidecar(target).unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot remove the old checkpoint %s: %s", target, error.strerror)


def keep_previous(path: Path) -> None:
    """Keep the checkpoint at ``path``, which is about to be replaced, as ``previous.ckpt`` in the same folder.

    A damaged one does not replace the previous one. A failure is only logged.
    """
    _copy_valid(path.resolve(), path.with_name(PREVIOUS))


def restore_previous(path: Path) -> None:
    """Replace the damaged checkpoint at ``path`` by ``previous.ckpt`` of the same folder."""
    _copy_valid(path.with_name(PREVIOUS).resolve(), path)


def _copy_valid(source: Path, target: Path) -> None:
    """Replace ``target`` by the checkpoint ``source``, unless that is missing or damaged."""
    if not source.is_file():
        return
    try:
        with exclusive(target.parent):
            digest, known = sha256_of(source), listed(source)
            if known is not None and digest not in known:
                logger.warning("%s is damaged: %s is left unchanged", source, target.name)
                return
            announce(target, digest)
            link_durably(source, target)
            commit(target, digest)
    except OSError as error:
        logger.warning("cannot keep %s as %s: %s", source, target.name, error)
