"""Your own CSV file as series to forecast."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.formats.times import Gaps
from seqmodels.data.series.source import SeriesSource


@dataclass(kw_only=True)
class CSVSeriesData(SeriesSource):
    """Series from a CSV file: one row per step, one column per series.

    Args:
        path: path of the file, plain or ``.gz``.
        time: time column; without one, rows are steps and there are no calendar features.
        header: whether the first line has the column names; otherwise columns are numbered from 0.
        delimiter: field delimiter.
        date_format: time format, e.g. ``"%d.%m.%y"``; inferred by default.
        gaps: ``error``, or ``allow``: rows are consecutive steps, however far apart.
        impute: fill missing values by ``forward`` (previous value), ``linear`` (interpolation, which looks ahead) or
            ``zero``; by default they are an error.
    """

    name = "csv_series"
    citation = "a file of your own"
    license = "your own"

    path: str | Path
    time: str | int | None = None
    header: bool = True
    delimiter: str = ","
    date_format: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.options = CSVOptions(
            time=None if self.time is None else str(self.time),
            header=self.header,
            delimiter=self.delimiter,
            date_format=self.date_format,
            gaps=self.gaps,
            impute=self.impute,
        )
        self.options.check()

    def prepare(self) -> None:
        if not Path(self.path).is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")

    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        self.prepare()
        return read_series(unpacked(Path(self.path)), str(self.path), self.options._replace(columns=columns))
