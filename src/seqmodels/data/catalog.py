"""Data sets by name, and what can be done with their files."""

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
"""The data sets that come with the package or that it can read from published files."""


class FileStatus(NamedTuple):
    """What is known of one published file: its name, where it lies, and why it is no good where it is not."""

    name: str
    path: Path | None
    state: Literal["ok", "missing", "damaged"]
    reason: str = ""


def find(name: str) -> type[Source]:
    """Return the data set of that name.

    Raises:
        ValueError: there is none; the message has the nearest names.
    """
    return _find(name, SETS)


def load(name: str, **options: Any) -> Splits[Any]:
    """Return the splits of a data set as texts, series and labels, as plain values, without Lightning or Hydra.

    Args:
        name: as ``data=`` has it on the command line: a data set, or a reader of the user's own files.
        options: say which data, as in a configuration: ``path`` of a file, ``data_seed`` of a draw. ``data_dir`` is
            the folder that ``SEQMODELS_DATA_DIR`` names where not given, else ``data``.

    Returns:
        The parts ``train``, ``val`` and ``test``, each a :class:`LabelledTexts`, :class:`LabelledSeries`,
        :class:`SeriesTable` or :class:`Documents`, whose texts ``read()`` yields.

    Raises:
        ValueError: there is no such data set or option, or the data cannot be read.
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
    """Read every file of a data set below ``data_dir`` and compare it with what was published."""
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
    """Fetch the files of a data set that are missing or damaged; return the state of all.

    A damaged file is replaced by the published one only once that has arrived.

    Raises:
        DownloadError: a file could not be had.
    """
    folder = Path(data_dir) / dataset.folder
    for file, status in zip(dataset.files, verify(dataset, data_dir), strict=True):
        if status.state == "ok":
            continue
        arrived = download_file(file, folder, progress=progress)
        if status.path is not None and status.path != arrived:
            status.path.unlink()
    return verify(dataset, data_dir)
