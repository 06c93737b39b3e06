"""The data sets that come with the package or that it can read from published files."""

from pathlib import Path
from typing import Literal, NamedTuple

from seqmodels.data.adding import AddingData
from seqmodels.data.ag_news import AGNewsData
from seqmodels.data.copy_memory import CopyMemoryData
from seqmodels.data.digits import DigitsData
from seqmodels.data.download import Progress, progress_line
from seqmodels.data.download import download as download_file
from seqmodels.data.files import locate, published_bytes
from seqmodels.data.imdb import IMDBData
from seqmodels.data.imdb_text import IMDBTextData
from seqmodels.data.japanese_vowels import JapaneseVowelsData
from seqmodels.data.jsb_chorales import JSBChoralesData
from seqmodels.data.mnist import MNISTData
from seqmodels.data.module import SequenceDataModule
from seqmodels.data.names import NamesData
from seqmodels.data.parity import ParityData
from seqmodels.data.ptb import PTBData
from seqmodels.data.published_series import (
    AirlinePassengersData,
    DailyMinTemperaturesData,
    ETTData,
    ExchangeRateData,
    MonthlySunspotsData,
    StocksData,
    SunspotsData,
)
from seqmodels.data.python_docs import PythonDocsData
from seqmodels.data.sst2 import SST2Data
from seqmodels.data.tiny_shakespeare import TinyShakespeareData
from seqmodels.data.ucr_uea import UCRUEAData
from seqmodels.errors import nearest

DATASETS: tuple[type[SequenceDataModule], ...] = (
    DigitsData,
    MNISTData,
    ParityData,
    AddingData,
    JapaneseVowelsData,
    UCRUEAData,
    JSBChoralesData,
    CopyMemoryData,
    SST2Data,
    IMDBData,
    AGNewsData,
    NamesData,
    PythonDocsData,
    TinyShakespeareData,
    PTBData,
    IMDBTextData,
    ETTData,
    ExchangeRateData,
    SunspotsData,
    StocksData,
    AirlinePassengersData,
    DailyMinTemperaturesData,
    MonthlySunspotsData,
)


class FileStatus(NamedTuple):
    """What is known of one published file: its name, where it lies, and why it is no good where it is not."""

    name: str
    path: Path | None
    state: Literal["ok", "missing", "damaged"]
    reason: str = ""


def find(name: str) -> type[SequenceDataModule]:
    """Return the data set of that name.

    Raises:
        ValueError: there is none; the message has the nearest names.
    """
    names = {dataset.name: dataset for dataset in DATASETS}
    if name in names:
        return names[name]
    raise ValueError(f"there is no data set {name!r}{nearest(name, names)} (there are: {', '.join(names)})")


def verify(dataset: type[SequenceDataModule], data_dir: str | Path) -> list[FileStatus]:
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


def download(
    dataset: type[SequenceDataModule], data_dir: str | Path, *, progress: Progress = progress_line
) -> list[FileStatus]:
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
