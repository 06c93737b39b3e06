"""A CSV file of one's own, as series to forecast."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.formats.times import Gaps
from seqmodels.data.series.source import SeriesSource


@dataclass(kw_only=True)
class CSVSeriesData(SeriesSource):
    """Series of a CSV file: a row for each step, a column for each series.

    Args:
        path: of the file, plain or with ``.gz``.
        time: the column with the time; without one rows are steps, and there is no calendar.
        header: the first line names the columns; else they are called by their numbers, from 0.
        delimiter: between the fields.
        date_format: how the time is written, ``"%d.%m.%y"`` for example; found out where not given.
        gaps: ``error``, or ``allow``: rows are steps one after the other, however far apart.
        impute: what fills missing values: ``forward`` (the last before), ``linear`` (the line between the neighbours,
            which looks ahead) or ``zero``; without it they are an error.
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
