"""Leave no folder behind for a run that is refused: Hydra creates it before the configuration is checked."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import CompactHydraException, ConfigCompositionException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from seqmodels.commands.launch import is_first

OWN = ("config.yaml", "hydra.yaml", "overrides.yaml")


class JobRefused(CompactHydraException):
    """A job of a multirun ended by an error that its user can fix."""


@contextmanager
def no_folder_if_refused(config: DictConfig, place: str) -> Iterator[None]:
    """Remove the folder that Hydra creates within the block if that ends with an error of the user or an interrupt.

    It is kept if it existed before, or holds more than the configurations and the log that Hydra writes: what a run
    that has started writes, or what others have put there. Parents created with it are removed if they are empty.

    Args:
        config: a configuration with its node ``hydra``.
        place: ``run`` or ``sweep``, whose folder it is.
    """
    try:
        folder, log = Path(config.hydra[place].dir).absolute(), f"{config.hydra.job.name}.log"
    except OmegaConfBaseException:  # a name depends on values that Hydra sets only at run time
        folder = None
    if folder is None or not is_first():
        yield
        return
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except SystemExit as stop:
        if stop.code == 2:
            _remove(new, log)
        raise
    except (JobRefused, ConfigCompositionException, ValueError, KeyboardInterrupt):  # the last before it has started
        _remove(new, log)
        raise


def _remove(new: list[Path], log: str) -> None:
    """Remove a folder with what Hydra has written into it, and its parents; ``new`` are those created in this run."""
    if not new or not new[0].is_dir() or not all(_is_written_by_hydra(path, log) for path in _files(new[0])):
        return
    _close_logs(new[0])
    for path in sorted(new[0].rglob("*"), reverse=True):  # folders after what is in them
        path.rmdir() if path.is_dir() else path.unlink()
    for folder in new:
        try:
            folder.rmdir()
        except OSError:  # another run is in it
            return


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _is_written_by_hydra(path: Path, log: str) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return plain and (path.name in (log, "multirun.yaml") or (path.parent.name == ".hydra" and path.name in OWN))


def _close_logs(folder: Path) -> None:
    """Close the log files in a folder: Windows removes no open file."""
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).is_relative_to(folder):
            root.removeHandler(handler)
            handler.close()
