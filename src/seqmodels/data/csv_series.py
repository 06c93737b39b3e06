"""A CSV file of one's own, as series to forecast."""

from collections.abc import Sequence
from pathlib import Path

from seqmodels.data.files import unpacked
from seqmodels.data.forecasting import SeriesDataModule
from seqmodels.data.series_csv import Impute, Reading, Series, read_series
from seqmodels.data.times import Gaps


class CSVSeriesData(SeriesDataModule):
    """Series of a CSV file: a row for each step, a column for each series; options as for all series.

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

    def __init__(
        self,
        path: str | Path,
        *,
        input_length: int,
        horizon: int,
        time: str | int | None = None,
        target: str | int | Sequence[str | int] | None = None,
        features: Sequence[str | int] = (),
        header: bool = True,
        delimiter: str = ",",
        date_format: str | None = None,
        gaps: Gaps = "error",
        impute: Impute | None = None,
        split: Sequence[float] | None = None,
        calendar: Sequence[str] = (),
        season: int | None = None,
        standardize: bool = True,
        reach_back: bool = True,
        stride: int = 1,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.own = Path(path)
        super().__init__(
            self.own.parent,
            input_length=input_length,
            horizon=horizon,
            split=split,
            target=target,
            features=features,
            calendar=calendar,
            season=season,
            standardize=standardize,
            reach_back=reach_back,
            stride=stride,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
        )
        self.reading = Reading(
            time=None if time is None else str(time),
            header=header,
            delimiter=delimiter,
            date_format=date_format,
            gaps=gaps,
            impute=impute,
        )
        self.reading.check()
        if calendar and time is None:
            raise ValueError(f"calendar features ({', '.join(calendar)}) need a time column: data.time=...")

    @property
    def file_name(self) -> str:
        return str(self.own)

    def prepare_data(self) -> None:
        """Raise ``FileNotFoundError`` where there is no such file."""
        if not self.own.is_file():
            raise FileNotFoundError(f"data.path={self.own}: there is no such file")

    def read(self, reading: Reading) -> Series:
        self.prepare_data()
        return read_series(unpacked(self.own), str(self.own), reading)
