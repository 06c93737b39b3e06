"""Load and oil temperature of electricity transformers."""

import hashlib
import logging
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from seqmodels.data.formats.files import DataFile, github_file, load, locate, unpacked
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.series.source import PublishedSeries

log = logging.getLogger("seqmodels")

Name = Literal["ETTh1", "ETTh2", "ETTm1", "ETTm2"]

HOURS = (8640, 2880, 2880)  # 12, 4 and 4 months of 30 days

# of the copies of the other files that darts 0.48.1 downloads; its md5 of ETTh1 is that of the published file
MD5 = {
    "ETTh2.csv": "51a229a3fc13579dd939364fefe9c7ab",
    "ETTm1.csv": "82d6bd89109c63d075d99c1077b33f38",
    "ETTm2.csv": "7687e47825335860bf58bccb31be0c56",
}


@dataclass(kw_only=True)
class ETTData(PublishedSeries):
    """Load and oil temperature of a transformer, 7 series, from July 2016 to June 2018.

    The standard splits are 12, 4 and 4 months of 30 days: 8640, 2880 and 2880 hours, or four times as many quarters of
    an hour; the rest is unused. With 720 input hours and a horizon of 96, these are 7825, 2785 and 2785 windows.

    The published ETTh1 is verified and can be downloaded. Of the other files no sha256 is known: they are not
    downloaded, an own copy is read from the same folder, with a warning if it differs from the copy in common use.

    Args:
        name: the transformer (1 or 2) and the step: ``ETTh1`` or ``ETTh2`` for an hour, ``ETTm1`` or ``ETTm2`` for 15
            minutes.

    Example:
        >>> from seqmodels.data import ETTData
        >>> ETTData(name="ETTm1", data_dir="data").split
        (34560, 11520, 11520)
    """

    folder = "ett"
    files = (
        github_file(
            "zhouhaoyi/ETDataset",
            "ETT-small/ETTh1.csv",
            "1d16c8f4f943005d613b5bc962e9eeb06058cf07",
            2589657,
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            branch="main",
        ),
    )
    citation = (
        "H. Zhou et al. Informer: beyond efficient transformer for long sequence time-series forecasting. AAAI 2021. "
        "https://arxiv.org/abs/2012.07436"
    )
    license = "CC BY-ND 4.0"
    options = CSVOptions(time="date")

    name: InitVar[Name] = "ETTh1"  # option; the set's own name is defined below
    file: DataFile = field(init=False)

    def __post_init__(self, name: Name) -> None:
        if name not in get_args(Name):
            raise ValueError(f"name must be one of {', '.join(get_args(Name))}, got {name!r}")
        known = {file.name: file for file in self.files}
        self.file = known.get(f"{name}.csv", DataFile(f"{name}.csv", 0, "", ()))
        if self.split is None:
            self.split = HOURS if name.startswith("ETTh") else tuple(4 * hours for hours in HOURS)
        super().__post_init__()

    def prepare(self) -> None:
        """Check that the file exists; download ETTh1 if it is missing and downloads are allowed.

        Raises:
            FileNotFoundError: the file is missing.
        """
        if self.file in self.files:
            super().prepare()
        else:
            self._own_copy()

    def content(self) -> tuple[bytes, str]:
        verified = self.file in self.files
        content = load(self.set_folder, self.file) if verified else self._compared(self._own_copy())
        return content, self.file.name

    def _own_copy(self) -> Path:
        path = locate(self.set_folder, self.file)
        if path is None:
            raise FileNotFoundError(
                f"{self.set_folder.absolute()} lacks {self.file.name} (plain or with .gz): put a copy there (from "
                "https://github.com/zhouhaoyi/ETDataset, folder ETT-small); it is not downloaded, as its sha256 is "
                "not known"
            )
        return path

    def _compared(self, path: Path) -> bytes:
        """Return the content of a file without sha256, with a warning if it is another one than is in common use."""
        content = unpacked(path)
        expected = MD5[self.file.name]
        if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != expected:
            log.warning("%s differs from the published file: md5 %s, expected %s", path, found, expected)
        return content


ETTData.name = "ett"
