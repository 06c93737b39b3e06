"""Series split by time, from a published file or your own."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from seqmodels.data.formats.delimited import listed
from seqmodels.data.formats.files import load
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.raw import Splits
from seqmodels.data.series.forecasting import ForecastPreparation
from seqmodels.data.series.panel import Panel
from seqmodels.data.source import PublishedSource, Source
from seqmodels.data.splitting import split_by_time


@dataclass(kw_only=True)
class SeriesSource(Source):
    """Aligned series, split by time: training, then validation, then test.

    Args:
        split: shares of the three splits, or their numbers of steps (the rest is unused); ``default_split`` if None.
        target: columns to forecast, one name or several; all by default.
        features: columns that are inputs only, with unknown future.
    """

    target_kind = "forecasting"
    preparation = ForecastPreparation
    default_split: ClassVar[tuple[float, float, float]] = (0.7, 0.1, 0.2)

    split: Sequence[float] | None = None
    target: str | int | Sequence[str | int] | None = None
    features: Sequence[str | int] = ()

    def __post_init__(self) -> None:
        split_by_time(10**9, self._shares)  # reject an invalid split before reading files

    @abstractmethod
    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        """Read the named columns; all numeric ones if None."""

    def splits(self) -> Splits[Panel]:
        features = tuple(map(str, listed(self.features)))  # unnamed columns are called by their numbers
        targets = None if self.target is None else tuple(map(str, listed(self.target)))
        table = self.read(None if targets is None else tuple(dict.fromkeys((*targets, *features))))
        for name in features:
            if name not in table.names:
                known = ", ".join(table.names)
                raise ValueError(f"features: there is no column {name!r} with numbers (there are: {known})")
        if targets is None:
            targets = tuple(name for name in table.names if name not in features)
        if not targets:
            raise ValueError("every column is one of features: there is nothing to forecast")
        if len(targets) + len(features) != len(table.names):
            raise ValueError(f"a column cannot be a target and a feature: {', '.join(table.names)}")
        columns = [table.names.index(name) for name in (*targets, *features)]
        table = table._replace(names=(*targets, *features), values=table.values[:, columns], features=len(features))
        return Panel.of(table).parts(self._shares)

    @property
    def _shares(self) -> tuple[float, ...]:
        return tuple(self.default_split if self.split is None else self.split)


@dataclass(kw_only=True)
class PublishedSeries(SeriesSource, PublishedSource):
    """Published file of series."""

    options: ClassVar[CSVOptions] = CSVOptions()
    """Options for reading the file."""

    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        (file,) = self.files
        return read_series(load(self.set_folder, file), file.name, self.options._replace(columns=columns))
