"""Your own CSV file as series to forecast."""

from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.files import unpacked
from seqmodels.data.formats.gaps import Impute
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.formats.table import Columns, CSVDialect, Table, names_of
from seqmodels.data.formats.times.frequency import Gaps
from seqmodels.data.own_files import check_paths
from seqmodels.data.series.panels.layouts import COLUMN, VALUE, Layout, Wide
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.panels.reading import read_panel
from seqmodels.data.series.panels.roles import Roles
from seqmodels.data.series.source import SeriesSource


@dataclass(kw_only=True)
class CSVSeriesData(SeriesSource):
    """Series from a CSV file: one row per step, one column per series.

    Args:
        path: path of the file, plain or ``.gz``.
        time: time column, or several, such as date and hour; without one, rows are steps and there are no calendar
            features.
        group: columns that say to which series a row belongs, one or several: one model forecasts all of them. Series
            may begin and end at different times; each is scaled by itself.
        static: columns with one value per series, such as the region of a shop. Words are categories.
        layout: ``long``: one row per step, and per series with ``group``; ``columns``: one row per step, and each
            column of ``target`` is a series of its own; ``years``: one row per year, and a column per month or quarter.
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
    time: Columns | None = None
    group: Columns = ()
    static: Columns = ()
    layout: Layout = "long"
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
        check_paths(path=self.path)
        times = names_of(self.time)
        self.options = CSVOptions(
            time=times[0] if len(times) == 1 else times or None,
            dialect=CSVDialect(self.delimiter, self.header, self.quotes, self.encoding, self.decimal),
            date_format=self.date_format,
            timezone=self.timezone,
            gaps=self.gaps,
            impute=self.impute,
            season=self.season,
        ).checked()

    def prepare(self) -> None:
        if not Path(self.path).is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")

    @property
    def roles(self) -> Roles:
        return super().roles._replace(group=names_of(self.group), static=names_of(self.static))

    def panel(self) -> Panel:
        self.prepare()
        table = Table.parse(unpacked(Path(self.path)), str(self.path), self.options.dialect)
        if self.layout == "long":
            return read_panel(table, self.options, self.roles)
        wide, roles = self._wide()
        options = self.options._replace(date_format=None) if self.layout == "years" else self.options
        return read_panel(table, options, roles, wide)

    def _wide(self) -> tuple[Wide, Roles]:
        """Return how to read a wide table, and the roles of the columns of the long table that it becomes."""
        roles, time = self.roles, self.options.time_columns
        refused = ("features", "future", "static") if self.layout == "years" else ("group", "static")
        for name in refused:
            if getattr(roles, name):
                raise ValueError(f"data.{name} has no effect with layout={self.layout}: leave it out")
        if self.layout == "years" and len(time) != 1:
            raise ValueError("layout=years needs data.time, the column of the year")
        kept = roles.group if self.layout == "years" else (*roles.features, *roles.future)
        group = roles.group if self.layout == "years" else (COLUMN,)
        return Wide(self.layout, time, roles.target, kept), roles._replace(target=(VALUE,), group=group)
