"""Look up data sets by name; load, verify and download them."""

import inspect
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seqmodels.data.download import Progress, progress_line
from seqmodels.data.download import download as download_file
from seqmodels.data.formats.files import locate, published_bytes
from seqmodels.data.raw import Splits
from seqmodels.data.sets import OWN_FILES, SETS
from seqmodels.data.source import Source
from seqmodels.errors import nearest


def _find(name: str, sets: Mapping[str, str]) -> type[Source]:
    if name not in sets:
        raise ValueError(f"there is no data set {name!r}{nearest(name, sets)} (there are: {', '.join(sets)})")
    return getattr(import_module(f"seqmodels.data.sets.{name}"), sets[name])


DATASETS: tuple[type[Source], ...] = tuple(_find(name, SETS) for name in SETS)
"""Data sets bundled with the package or read from published files."""

READERS: tuple[type[Source], ...] = tuple(_find(name, OWN_FILES) for name in OWN_FILES)
"""Readers for your own files."""


class FileStatus(NamedTuple):
    """Status of one published file: its name, its path, and the problem if it is unusable."""

    name: str
    path: Path | None
    state: Literal["ok", "missing", "damaged"]
    reason: str = ""


def find(name: str) -> type[Source]:
    """Return the data set called ``name``.

    Raises:
        ValueError: no such data set; the message suggests the closest names.
    """
    return _find(name, SETS)


def load(name: str, /, **options: Any) -> Splits[Any]:
    """Load the splits of a data set as plain texts, series and labels, without Lightning or Hydra.

    Args:
        name: same as ``data=`` on the command line: a data set, or a reader for your own files.
        options: options of the data set, as in a configuration, e.g. ``path`` or ``data_seed``. ``data_dir`` defaults
            to ``SEQMODELS_DATA_DIR`` if set, else to ``data``.

    Returns:
        The splits ``train``, ``val`` and ``test``, each a :class:`LabelledTexts`, :class:`LabelledSeries`,
        :class:`SequenceRecords`, :class:`PairedTexts`, a :class:`Panel` of series, :class:`Recordings`, or
        :class:`Documents`, whose ``read()`` yields the texts.

    Raises:
        ValueError: no such data set or option, or the data cannot be read.
        FileNotFoundError: files are missing.

    Example:
        >>> from seqmodels.data import load
        >>> train, val, test = load("digits", data_seed=3)
        >>> train.series.shape, train.labels[:3]
        (torch.Size([1258, 8, 8]), tensor([0, 2, 4]))
    """
    kind = _find(name, SETS | OWN_FILES)
    known = inspect.signature(kind).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, known)} (it has: {', '.join(known)})")
    if missing := [n for n, p in known.items() if p.default is p.empty and n not in (*options, "data_dir")]:
        raise ValueError(f"{name} needs {', '.join(f'{option}=...' for option in missing)}")
    if "data_dir" in known:
        options = {"data_dir": os.environ.get("SEQMODELS_DATA_DIR", "data"), **options}
    source = kind(**options)
    source.prepare()
    return source.splits()


def verify(dataset: type[Source], data_dir: str | Path) -> list[FileStatus]:
    """Check every file of a data set under ``data_dir`` against the published version."""
    folder = Path(data_dir) / dataset.folder
    found = []
    for file in dataset.files:
        path = locate(folder, file)
        if path is None:
            found.append(FileStatus(file.name, None, "missing", f"not in {folder.absolute()}"))
            continue
        try:
            published_bytes(path, file)
        except (ValueError, OSError) as error:
            found.append(FileStatus(file.name, path, "damaged", str(error)))
        else:
            found.append(FileStatus(file.name, path, "ok"))
    return found


def download(dataset: type[Source], data_dir: str | Path, *, progress: Progress = progress_line) -> list[FileStatus]:
    """Download the missing or damaged files of a data set; return the status of all files.

    A damaged file is only replaced once the published one has been downloaded.

    Raises:
        DownloadError: a file could not be downloaded.
    """
    folder = Path(data_dir) / dataset.folder
    for file, status in zip(dataset.files, verify(dataset, data_dir), strict=True):
        if status.state == "ok":
            continue
        arrived = download_file(file, folder, progress=progress)
        if status.path is not None and status.path != arrived:
            status.path.unlink()
    return verify(dataset, data_dir)
