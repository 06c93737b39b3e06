"""Series that are split in time: a published file, or one of one's own."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from seqmodels.data.formats.delimited import listed
from seqmodels.data.formats.files import load
from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.raw import Splits
from seqmodels.data.series.forecasting import ForecastPreparation
from seqmodels.data.source import PublishedSource, Source
from seqmodels.data.splitting import split_by_time


@dataclass(kw_only=True)
class SeriesSource(Source):
    """Series side by side, split in time: first training, then validation, then test.

    Args:
        split: shares of the three parts, or their steps (what is left over is not used); as ``default_split`` where
            not given.
        target: columns that are forecast, one name or several; all where not given.
        features: columns that are read, but not forecast; their future is not known.
    """

    target_kind = "forecasting"
    preparation = ForecastPreparation
    default_split: ClassVar[tuple[float, float, float]] = (0.7, 0.1, 0.2)

    split: Sequence[float] | None = None
    target: str | int | Sequence[str | int] | None = None
    features: Sequence[str | int] = ()

    def __post_init__(self) -> None:
        split_by_time(10**9, self._shares)  # refuse what is no split before any file is read

    @abstractmethod
    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        """Read the columns of these names; all with numbers where not given."""

    def splits(self) -> Splits[SeriesTable]:
        features = tuple(map(str, listed(self.features)))  # a column without a name is called by its number
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
        steps = len(table.values)
        train, val, end = split_by_time(steps, self._shares)
        if train == 0:
            raise ValueError(f"{table.place}: has {steps} steps, its train part none")
        return Splits(table.steps(0, train), table.steps(train, val), table.steps(val, end))

    @property
    def _shares(self) -> tuple[float, ...]:
        return tuple(self.default_split if self.split is None else self.split)


@dataclass(kw_only=True)
class PublishedSeries(SeriesSource, PublishedSource):
    """A published file of series."""

    options: ClassVar[CSVOptions] = CSVOptions()
    """How the file is read."""

    def read(self, columns: tuple[str, ...] | None) -> SeriesTable:
        (file,) = self.files
        return read_series(load(self.set_folder, file), file.name, self.options._replace(columns=columns))
