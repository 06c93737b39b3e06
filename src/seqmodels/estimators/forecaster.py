"""Forecasts of the series of a table."""

from collections.abc import Container, Mapping, Sequence
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqmodels.config.quoting import quoted
from seqmodels.data.formats.parquet import as_written
from seqmodels.estimators.base import Estimator
from seqmodels.exporting import Forecast
from seqmodels.exporting.inputs import table_columns
from seqmodels.system.durable import write_csv
from seqmodels.tasks.predictors.forecasts import ForecastPredictor


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

    def score(self, frame: Any, y: None = None) -> float:  # noqa: ARG002  (of scikit-learn's interface)
        """Forecast the end of a table from the rows before it; return minus the MASE, so that greater is better.

        The end is the last ``horizon`` steps of each group. Absolute errors are divided by the mean absolute change
        from one step to the next in the rows before (Hyndman and Koehler, 2006), or by 1 where nothing changes. The
        score is minus their mean over all values of the end that are there: 0 if all are forecast exactly.

        Args:
            frame: a table with the columns of that of :meth:`fit`, the rows of each group in the order of time.

        Raises:
            NotFittedError: ``fit`` has not been called.
            ValueError: a group has fewer than ``horizon + 2`` rows, the end has no values, or a column is missing, as
                those of ``data.layout=columns``, where each column is a series of the same model.
        """
        predictor = self._fitted().predictor
        assert isinstance(predictor, ForecastPredictor)
        columns, horizon = columns_of(frame), predictor.model.horizon
        if missing := [name for name in predictor.names if name not in columns]:
            raise ValueError(f"score needs the columns {', '.join(missing)}, which the table does not have")
        groups = rows_of_groups(columns, [self.group] if isinstance(self.group, str) else self.group)
        for key, rows in groups.items():
            if len(rows) < horizon + 2:
                of = f" of {', '.join(key)}" if key else ""
                raise ValueError(f"score needs at least {horizon + 2} rows{of}, the horizon and 2, got {len(rows)}")
        hidden = {row for rows in groups.values() for row in rows[-horizon:]}
        known = {**columns, **{name: without(columns[name], hidden) for name in predictor.names}}
        errors: list[float] = []
        for forecast in self.predict(known):
            rows = groups[tuple(map(str, forecast.group.values()))]
            for name in predictor.names:
                numbers = numbers_of([columns[name][row] for row in rows])
                change = np.nanmean(np.abs(np.diff(numbers[:-horizon])))
                apart = np.abs(np.array(forecast.values[name]["forecast"]) - numbers[-horizon:])
                errors += (apart / (change if change > 0 else 1)).tolist()
        there = [error for error in errors if not np.isnan(error)]
        if not there:
            raise ValueError(f"the last {horizon} steps have no values of {', '.join(predictor.names)}")
        return -sum(there) / len(there)


def rows_of_groups(columns: Mapping[str, list[Any]], names: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Return the numbers of the rows of each group, by what stands in the columns of these names."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in range(len(next(iter(columns.values())))):
        found.setdefault(tuple(str(as_written(columns[name][row])) for name in names), []).append(row)
    return found


def without(cells: Sequence[Any], hidden: Container[int]) -> list[Any]:
    """Return cells of which some are empty."""
    return [None if row in hidden else cell for row, cell in enumerate(cells)]


def numbers_of(cells: Sequence[Any]) -> NDArray[np.float64]:
    """Return cells as numbers, NaN where one is empty."""
    return np.array([float(as_written(cell) or "nan") for cell in cells])


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
