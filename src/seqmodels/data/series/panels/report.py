"""What a run reads: columns, splits, windows, season and filled values, in a few lines of the log."""

import logging
import warnings
from collections.abc import Sequence

import numpy as np

from seqmodels.data.formats.gaps import Filled
from seqmodels.data.raw import Splits
from seqmodels.data.series.forecast_preprocessing import ForecastPreprocessing
from seqmodels.data.series.panels.panel import Panel
from seqmodels.data.series.windows import WindowDataset
from seqmodels.errors import extent, shortened

log = logging.getLogger("seqmodels")

SHOWN = 5  # names of groups


def log_report(parts: Sequence[Panel], windows: Sequence[WindowDataset], preprocessing: ForecastPreprocessing) -> None:
    """Log what a run reads, a line each for rows, columns, splits and season."""
    train = parts[0]
    for line in (
        _rows(parts),
        _columns(train, preprocessing.calendar),
        f"splits: {'; '.join(map(_part, Splits._fields, parts, windows))}",
        _season(train, preprocessing.season),
    ):
        log.info("%s: %s", train.place, line)


def _rows(parts: Sequence[Panel]) -> str:
    train = parts[0]
    lengths = [sum(len(part.tables[n].values) for part in parts) for n in range(len(train.keys))]
    frequency = next((table.frequency for table in train.tables if table.frequency is not None), None)
    apart = "" if frequency is None else f", {frequency} apart"
    series = "" if not train.group else f"{len(train.keys)} series by {', '.join(train.group)}, each of "
    filled = _filled([table.filled for table in train.tables])
    return f"{series}{extent(lengths)} steps{apart}{filled}"


def _filled(parts: Sequence[Filled]) -> str:
    """Return what was filled in, with the first places."""
    places = tuple(place for part in parts for place in part.places)[:SHOWN]
    total = Filled(sum(part.rows for part in parts), sum(part.values for part in parts), places)
    return f"; {total}" if total.rows or total.values else ""


def _columns(train: Panel, calendar: Sequence[str]) -> str:
    roles, words = train.roles, train.categories
    features, future, static = (
        [f"{name} ({', '.join(words[name])})" if name in words else name for name in columns]
        for columns in (roles.features, roles.future, roles.static)
    )
    inputs = {
        "forecasts": train.names[: train.outputs],
        "reads": features,
        "known ahead": (*future, *calendar),
        "static": static,
    }
    return "; ".join(f"{what} {', '.join(names)}" for what, names in inputs.items() if names)


def _part(name: str, panel: Panel, windows: WindowDataset) -> str:
    steps = sum(len(table.values) for table in panel.tables)
    if steps == 0:
        return f"{name} none"
    times = [table.times[[0, -1]] for table in panel.tables if table.times is not None and len(table.times)]
    span = ""
    if times:
        first, last = (np.datetime_as_string(time, unit="auto") for time in (np.min(times), np.max(times)))
        span = f" from {first} to {last}"
    without = len(panel.keys) - len(windows.rows.unique())
    lacking = f", {without} series without one" if without and len(panel.keys) > 1 else ""
    return f"{name} {steps} steps{span} ({len(windows)} windows{lacking})"


def _season(train: Panel, season: int) -> str:
    frequency = train.longest.frequency
    usual = 1 if frequency is None else frequency.season
    if season == 1 and usual > 1:
        return f"season: 1 step, as the training part has no more than a season of {usual}"
    short = sum(len(table.values) <= season for table in train.tables)
    fewer = f"; {short} series with less than one for training" if short and len(train.keys) > 1 else ""
    return f"season: {season} step{'' if season == 1 else 's'}{fewer}"


def warn_of_constants(train: Panel) -> None:
    """Warn of columns to forecast that never change in the training part, of any group, and of other such columns."""
    for number, name in enumerate(train.names):
        used = [(key, table) for key, table in zip(train.keys, train.tables, strict=True) if len(table.values)]
        columns = [table.values[:, number] for _, table in used]
        constant = [key for (key, _), column in zip(used, columns, strict=True) if bool((column == column[0]).all())]
        if number >= train.outputs and (len(constant) < len(used) or any(c[0] != columns[0][0] for c in columns)):
            continue
        if constant:
            shown = shortened([", ".join(key) for key in constant], SHOWN, "; ")
            which = f" of {shown}" if train.group and number < train.outputs else ""
            what = "never changes in the training part; it is scaled by 1"
            warnings.warn(f"{train.place}, column {name}{which}: {what}", stacklevel=2)
