"""Your own CSV file as series to forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.delimited import listed
from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.formats.times.frequency import Gaps
from seqmodels.data.series.source import SeriesSource


@dataclass(kw_only=True)
class CSVSeriesData(SeriesSource):
    """Series from a CSV file: one row per step, one column per series.

    Args:
        path: path of the file, plain or ``.gz``.
        time: time column, or several, such as date and hour; without one, rows are steps and there are no calendar
            features.
        header: whether the first line has the column names; otherwise columns are numbered from 0.
        delimiter: field delimiter; if None, a tab for ``.tsv`` files, else recognised among comma, semicolon, tab and
            ``|``.
        quotes: whether fields in double quotes may contain delimiters, line breaks and doubled quotes.
        encoding: encoding of the file.
        decimal: decimal separator of the numbers, ``.`` or ``,``.
        date_format: time format, e.g. ``"%d.%m.%y"``, or ``unix`` (seconds since 1970), ``unix_ms``, ``unix_us``;
            inferred by default.
        timezone: name of the time zone, such as ``Europe/Berlin``, by whose rules times without an offset from UTC were
            recorded and all times continue; by default, times keep their last offset, if they have any.
        gaps: ``error``; ``fill``: insert the missing rows, and fill in their values by ``impute``; or ``allow``: rows
            are consecutive steps, however far apart.
        impute: fill in missing values by ``forward`` (previous value), ``linear`` (interpolation, which looks ahead),
            ``seasonal`` (value one season before) or ``zero``; by default they are an error. Where there is no previous
            value, the first one is used.
    """

    name = "csv_series"
    citation = "a file of your own"
    license = "your own"

    path: str | Path
    time: str | int | Sequence[str | int] | None = None
    header: bool = True
    delimiter: str | None = None
    quotes: bool = True
    encoding: str = "utf-8"
    decimal: str = "."
    date_format: str | None = None
    timezone: str | None = None
    gaps: Gaps = "error"
    impute: Impute | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        times = () if self.time is None else tuple(map(str, listed(self.time)))
        self.options = CSVOptions(
            time=times[0] if len(times) == 1 else times or None,
            dialect=CSVDialect(self.delimiter, self.header, self.quotes, self.encoding, self.decimal),
            date_format=self.date_format,
            timezone=self.timezone,
            gaps=self.gaps,
            impute=self.impute,
        ).checked()

    def prepare(self) -> None:
        if not Path(self.path).is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")

    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        self.prepare()
        return read_series(unpacked(Path(self.path)), str(self.path), self.options._replace(columns=columns))
