"""Forecasts of the series of a table."""

from collections.abc import Mapping, Sequence
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any, Self

from seqmodels.config.quoting import quoted
from seqmodels.data.formats.parquet import as_written
from seqmodels.estimators.base import Estimator
from seqmodels.exporting import Forecast
from seqmodels.exporting.inputs import table_columns
from seqmodels.system.durable import write_csv


class Forecaster(Estimator):
    """Forecasts one or more series, as ``seqmodels train data=csv_series`` does.

    The last tenth of the steps validates the others, and calibrates the intervals.

    Args:
        input_length: steps that a forecast is made from.
        target: columns to forecast; all numeric ones without another role by default.
        time: the time column; by default, the first with dates, or a DatetimeIndex of pandas.
        group: columns that tell the series of a table apart.
        cell, hidden_size, depth, epochs, batch_size, learning_rate, seed, overrides, run_dir, device: as of
            :class:`~seqmodels.estimators.base.Estimator`.

    Example:
        >>> Forecaster(cell="gru", input_length=14, group=["shop"]).get_params()["input_length"]
        14
        >>> Forecaster().fit(frame, horizon=28).predict()  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        input_length: int | None = None,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        group: str | Sequence[str] = (),
        cell: str = "lstm",
        hidden_size: int | None = None,
        depth: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        seed: int = 1,
        overrides: Sequence[str] = (),
        run_dir: str | PathLike[str] | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            cell=cell,
            hidden_size=hidden_size,
            depth=depth,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            overrides=overrides,
            run_dir=run_dir,
            device=device,
        )
        self.input_length = input_length
        self.target = target
        self.time = time
        self.group = group

    def fit(self, frame: Any, *, horizon: int) -> Self:
        """Train a model.

        Args:
            frame: a table with a row for each step of each series: a DataFrame of pandas or polars, a Table of pyarrow,
                or a dict of columns.
            horizon: number of steps to forecast.

        Returns:
            Itself.

        Raises:
            TypeError, ValueError: the message names what is wrong, with its row.
        """
        columns, time = columns_of(frame), self.time or time_column(frame)

        def write(folder: Path) -> Sequence[str]:
            path = folder / "train.csv"
            rows = zip(*([as_written(cell) for cell in cells] for cells in columns.values()), strict=True)
            write_csv(path, list(columns), list(rows))
            lists = {"target": self.target, "group": self.group}
            return [
                *("data=csv_series", f"data.path={path}", f"data.horizon={horizon}", "data.split=[0.9,0.1,0]"),
                *(
                    f"data.{name}={quoted([names] if isinstance(names, str) else list(names))}"
                    for name, names in lists.items()
                    if names
                ),
                *([f"data.time={quoted(time)}"] if time is not None else []),
                *([f"data.input_length={self.input_length}"] if self.input_length is not None else []),
                "test=false",
            ]

        self._train(write)
        self._columns = columns
        return self

    def predict(self, frame: Any = None) -> list[Forecast]:
        """Forecast the steps after a table.

        Args:
            frame: a table with the columns of that of :meth:`fit`, which is taken by default.

        Returns:
            The forecast of each group, with times and intervals; ``list(forecast.rows())`` are the rows of a DataFrame.
        """
        model = self._fitted()
        return model.predict(Columns(self._columns if frame is None else columns_of(frame)))


class Columns:
    """A dict of columns with what a DataFrame has."""

    def __init__(self, columns: Mapping[str, list[Any]]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]


def columns_of(frame: Any) -> dict[str, list[Any]]:
    """Return the columns of a table, with a DatetimeIndex of pandas as the first.

    Raises:
        TypeError: it is no table.
        ValueError: its columns have different lengths.
    """
    if isinstance(frame, Mapping):
        columns: dict[str, list[Any]] | None = {str(name): list(values) for name, values in frame.items()}
    else:
        columns = table_columns(frame)
    if columns is None:
        raise TypeError(f"frame must be a table, a DataFrame or a dict of columns, got {type(frame).__name__}")
    if (name := _index_name(frame)) is not None:
        columns = {name: list(frame.index), **columns}
    if len({len(values) for values in columns.values()}) != 1:
        found = ", ".join(f"{name} {len(values)}" for name, values in columns.items()) or "none"
        raise ValueError(f"the columns of a table must be as long as each other, got {found}")
    return columns


def time_column(frame: Any) -> str | None:
    """Return the first column with dates, None if there is none."""
    columns = columns_of(frame).items()
    return next((name for name, values in columns if values and isinstance(values[0], date)), None)


def _index_name(frame: Any) -> str | None:
    index: Any = getattr(frame, "index", None)
    return str(index.name or "time") if type(index).__name__ == "DatetimeIndex" else None
