"""What all sets of series share: splits in time, scaling by the training part, windows."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqmodels.data.batch import TargetKind
from seqmodels.data.calendar import calendar_features, check_calendar
from seqmodels.data.module import SPLITS, PublishedDataModule
from seqmodels.data.scaling import Scaling, fit_scaling, seasonal_error
from seqmodels.data.series_csv import Reading, Series
from seqmodels.data.windows import Span, WindowDataset, parted


class SeriesDataModule(PublishedDataModule, ABC):
    """Series that are forecast: windows of ``input_length`` steps, and the ``horizon`` steps that follow each.

    The steps are parted in time: first training, then validation, then test. What is forecast lies whole within its
    part; every window of validation and test is there once. The mean and deviation that all series are scaled by come
    from the training part alone.

    Args:
        data_dir, download: as in :class:`PublishedDataModule`.
        input_length: steps that a network reads.
        horizon: steps that it forecasts.
        split: shares of the three parts, or their steps (what is left over is not used); as :attr:`default_split`
            where not given.
        target: columns that are forecast, one name or several; all where not given.
        features: columns that are read, but not forecast; their future is not known.
        calendar: what is known of the future: ``minute``, ``hour``, ``weekday``, ``day``, ``day_of_year``, ``month``.
        season: steps after which things come again, for the seasonal-naive forecast and for MASE; by the frequency
            (24 hours, 7 days, 5 weekdays, 12 months) where not given, and 1 where that is longer than a window.
        standardize: scale by the training part; else values stay as they are.
        reach_back: inputs of validation and test may begin in the part before, as is usual, so that the first step of
            a part is forecast, too; else they lie within it.
        stride: steps from one training window to the next.
        batch_size, num_workers, seed, drop_last: as in :class:`SequenceDataModule`.
    """

    target_kind: ClassVar[TargetKind] = "forecasting"
    default_split: ClassVar[tuple[float, float, float]] = (0.7, 0.1, 0.2)
    reading: Reading
    """How the file is read; of a set with one file, a class attribute."""

    def __init__(
        self,
        data_dir: str | Path,
        *,
        input_length: int,
        horizon: int,
        split: Sequence[float] | None = None,
        target: str | int | Sequence[str | int] | None = None,
        features: Sequence[str | int] = (),
        calendar: Sequence[str] = (),
        season: int | None = None,
        standardize: bool = True,
        reach_back: bool = True,
        stride: int = 1,
        download: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            data_dir, download=download, batch_size=batch_size, num_workers=num_workers, seed=seed, drop_last=drop_last
        )
        for name, value in (("input_length", input_length), ("horizon", horizon), ("stride", stride)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1 step, got {value}")
        if season is not None and not 1 <= season <= input_length:
            raise ValueError(f"season must be 1 to input_length={input_length} steps, got {season}")
        check_calendar(calendar)
        self.input_length = input_length
        self.horizon = horizon
        self.shares = tuple(self.default_split if split is None else split)
        parted(10**9, self.shares)  # refuse what is no split before any file is read
        self.target = None if target is None else _names(target)
        self.features = _names(list(features))
        self.calendar = tuple(calendar)
        self.given_season = season
        self.standardize = standardize
        self.reach_back = reach_back
        self.stride = stride
        self._sizes: dict[str, Any] = {}
        self._preprocessing: dict[str, Any] = {}

    @abstractmethod
    def read(self, reading: Reading) -> Series:
        """Read the series as ``reading`` says."""

    @property
    def file_name(self) -> str:
        """What errors call the data."""
        return self.files[0].name

    @property
    def sizes(self) -> dict[str, Any]:
        """``input_size``, ``known_size``, ``output_size``, ``horizon``, and what forecasts are measured by.

        That is ``season``, ``names`` of the series, and of each its ``mean``, ``deviation`` and ``seasonal_error``.
        """
        if not self._sizes:
            raise RuntimeError(f"{type(self).__name__}.setup() must be called before its sizes are known")
        return self._sizes

    @property
    def preprocessing(self) -> dict[str, Any]:
        return self._preprocessing

    def check(self, name: str, split: WindowDataset) -> None:
        """Raise ``ValueError`` where a split has no window."""
        if len(split) == 0:
            needed = self.horizon if split.span.reach < split.span.first else self.input_length + self.horizon
            raise ValueError(
                f"{self.file_name}: the {name} part has {split.span.end - split.span.first} steps, but a window of "
                f"input_length={self.input_length} and horizon={self.horizon} needs {needed}"
            )

    def splits(self) -> dict[str, WindowDataset]:
        columns = None if self.target is None else tuple(dict.fromkeys((*self.target, *self.features)))
        series = self.read(self.reading._replace(columns=columns))
        if self.target is None:
            series = _ordered(series, self.features)
        outputs = len(series.names) - len(self.features) if self.target is None else len(self.target)
        if outputs + len(self.features) != len(series.names):
            raise ValueError(f"a column cannot be a target and a feature: {', '.join(series.names)}")
        train, val, end = parted(len(series.values), self.shares)
        if train == 0:
            raise ValueError(f"{self.file_name}: has {len(series.values)} steps, its train part none")
        scaling = fit_scaling(series.values[:train], standardize=self.standardize)
        self._check_scaled(series, train, scaling)
        known = calendar_features(series.times, self.calendar, len(series.values))
        values = torch.cat([scaling.apply(series.values).float(), known], 1)
        self._state(series, outputs, train, scaling)
        back = self.reach_back
        spans = {"train": Span(0, 0, train), "val": Span(0 if back else train, train, val)}
        spans["test"] = Span(0 if back else val, val, end)
        times = _seconds(series)
        return {
            name: WindowDataset(
                values,
                known,
                times,
                spans[name],
                input_length=self.input_length,
                horizon=self.horizon,
                output_size=outputs,
                stride=self.stride if name == "train" else 1,
            )
            for name in SPLITS
        }

    def _state(self, series: Series, outputs: int, train: int, scaling: Scaling) -> None:
        """Note the sizes, and what new files are read by."""
        season = self._season(series)
        if season >= train:
            raise ValueError(f"{self.file_name}: the train part has {train} steps, a season has {season}")
        self._sizes = {
            "input_size": len(series.names) + len(self.calendar),
            "known_size": len(self.calendar),
            "output_size": outputs,
            "horizon": self.horizon,
            "season": season,
            "names": list(series.names[:outputs]),
            "mean": scaling.mean[:outputs].tolist(),
            "deviation": scaling.deviation[:outputs].tolist(),
            "seasonal_error": seasonal_error(series.values[:train, :outputs], season).tolist(),
        }
        self._preprocessing = {
            "_target_": "seqmodels.data.ForecastPreprocessing",
            "time": self.reading.time,
            "columns": list(series.names),
            "date_format": self.reading.date_format,
            "gaps": self.reading.gaps,
            "impute": self.reading.impute,
            "calendar": list(self.calendar),
            "input_length": self.input_length,
            "horizon": self.horizon,
            "output_size": outputs,
            "mean": scaling.mean.tolist(),
            "deviation": scaling.deviation.tolist(),
        }

    def _season(self, series: Series) -> int:
        if self.given_season is not None:
            return self.given_season
        season = 1 if series.frequency is None else series.frequency.season
        return season if season <= self.input_length else 1

    def _check_scaled(self, series: Series, train: int, scaling: Scaling) -> None:
        """Tell of series that never change; refuse those that leave float32 once they are scaled."""
        finite = scaling.apply(series.values).float().isfinite().all(0)
        for name, column, fits in zip(series.names, series.values[:train].unbind(1), finite.tolist(), strict=True):
            if not fits:
                raise ValueError(f"{self.file_name}, column {name}: its values are too large for float32 once scaled")
            if bool((column == column[0]).all()):
                warnings.warn(
                    f"{self.file_name}, column {name}: never changes in the training part; it is scaled by 1",
                    stacklevel=2,
                )


def _names(columns: str | int | Sequence[str | int]) -> tuple[str, ...]:
    """Return the names of columns; a column without a name is called by its number."""
    if isinstance(columns, str | int):
        return (str(columns),)
    return tuple(str(column) for column in columns)


def _ordered(series: Series, last: Sequence[str]) -> Series:
    """Return the series with those that ``last`` names behind the others."""
    for name in last:
        if name not in series.names:
            raise ValueError(
                f"features: there is no column {name!r} with numbers (there are: {', '.join(series.names)})"
            )
    names = [name for name in series.names if name not in last] + list(last)
    if len(names) == len(last):
        raise ValueError("every column is one of features: there is nothing to forecast")
    index = [series.names.index(name) for name in names]
    return series._replace(names=tuple(names), values=series.values[:, index])


def _seconds(series: Series) -> Tensor:
    """Return the time of each step in seconds since 1970, or its number."""
    if series.times is None:
        return torch.arange(len(series.values))
    return torch.from_numpy(series.times.astype(np.int64))
