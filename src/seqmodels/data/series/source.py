"""Series split by time, from a published file or your own."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from seqmodels.data.formats.files import load
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.formats.table import Columns, Table, names_of
from seqmodels.data.raw import Splits
from seqmodels.data.series.forecasting import ForecastPreparation
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.panels.reading import read_panel
from seqmodels.data.series.panels.roles import Roles
from seqmodels.data.source import PublishedSource, Source
from seqmodels.data.splitting import split_by_time


@dataclass(kw_only=True)
class SeriesSource(Source):
    """Aligned series, split by time: training, then validation, then test.

    Args:
        split: shares of the three splits, or their numbers of steps (the rest is unused); ``default_split`` if None.
            The last may be 0: all steps are used for training and validation, and there is no test split.
        target: columns to forecast, one name or several; all numeric ones without another role by default.
        features: columns that are inputs only, with unknown future. Words are categories.
        future: columns whose future is known, such as planned promotions. In training, they are read from the rows
            ahead; for a forecast, the file has rows for the steps to forecast, with empty targets. Words are
            categories.
        season: season length in steps, by which missing values are filled in; by default that of the frequency.
    """

    target_kind = "forecasting"
    preparation = ForecastPreparation
    default_split: ClassVar[tuple[float, float, float]] = (0.7, 0.1, 0.2)

    split: Sequence[float] | None = None
    target: Columns | None = None
    features: Columns = ()
    future: Columns = ()
    season: int | None = None

    def __post_init__(self) -> None:
        split_by_time(10**9, self._shares)  # reject an invalid split before reading files
        self.roles.check()

    @property
    def roles(self) -> Roles:
        """What the columns of the table are to a forecast."""
        target = None if self.target is None else names_of(self.target)
        return Roles(target=target, features=names_of(self.features), future=names_of(self.future))

    @abstractmethod
    def panel(self) -> Panel:
        """Read the series.

        Raises:
            ValueError: they cannot be read; the message names line and column.
        """

    def splits(self) -> Splits[Panel]:
        return self.panel().parts(self._shares)

    @property
    def _shares(self) -> tuple[float, ...]:
        if isinstance(self.split, int | float | str):
            raise ValueError(f"split must have three shares, such as [0.7, 0.1, 0.2], got {self.split!r}")
        return tuple(self.default_split if self.split is None else self.split)


@dataclass(kw_only=True)
class PublishedSeries(SeriesSource, PublishedSource):
    """Published file of series."""

    options: ClassVar[CSVOptions] = CSVOptions()
    """Options for reading the file."""

    def panel(self) -> Panel:
        table = Table.parse(*self.content(), self.options.dialect)
        return read_panel(table, self.options._replace(season=self.season), self.roles)

    def content(self) -> tuple[bytes, str]:
        """Return the content of the file, and its name for messages.

        Raises:
            FileNotFoundError: the file is missing.
            ValueError: it is damaged or a different file.
        """
        (file,) = self.files
        return load(self.set_folder, file), file.name
