"""The frequency of a series: how far its rows lie apart, and how its times continue."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmodels.data.formats.times.zones import DAY, Offsets, Times

Gaps = Literal["error", "fill", "allow"]
Steps = NDArray[np.int64]

WEEK = 7 * DAY
SECOND = 1_000_000
UNITS = {WEEK: "week", DAY: "day", DAY // 24: "hour", 60 * SECOND: "minute", SECOND: "second", 1000: "millisecond"}


class Frequency(NamedTuple):
    """Time between consecutive steps, in whole months or in microseconds.

    Example:
        >>> hourly = Frequency(microseconds=3_600_000_000)
        >>> str(hourly), hourly.season
        ('1 hour', 24)
        >>> Frequency(months=3, month_end=True).after(np.datetime64("2020-06-30", "us"), 2).astype("datetime64[D]")
        array(['2020-09-30', '2020-12-31'], dtype='datetime64[D]')
    """

    months: int = 0
    microseconds: int = 0
    weekdays: bool = False
    """Days except Saturdays and Sundays."""
    month_end: bool = False
    """The last day of each month."""
    elapsed: bool = False
    """In a time zone, steps are time that has passed; otherwise they are counted on the wall clock."""

    @property
    def season(self) -> int:
        """Steps in a season: a day, a week or a year; 1 if none applies."""
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        if self.microseconds == DAY:
            return 5 if self.weekdays else 7
        if self.microseconds == WEEK:
            return 52
        within_a_day = SECOND <= self.microseconds < DAY and DAY % self.microseconds == 0
        return DAY // self.microseconds if within_a_day else 1

    def __str__(self) -> str:
        if self.months:
            count, unit = (self.months // 12, "year") if self.months % 12 == 0 else (self.months, "month")
        else:
            size = next((size for size in UNITS if self.microseconds % size == 0), 1)
            count, unit = self.microseconds // size, "working day" if self.weekdays else UNITS.get(size, "microsecond")
        end = " (month ends)" if self.month_end else ""
        return f"{count} {unit}{'' if count == 1 else 's'}{end}"

    def shifted(self, times: Times, steps: Steps) -> Times:
        """Return each time shifted by a number of steps."""
        if self.months:
            months = times.astype("datetime64[M]")
            later = months + steps * self.months
            inside = times - months.astype("datetime64[us]")
            clock = inside % np.timedelta64(DAY, "us")
            last_day = (later + 1).astype("datetime64[us]") - later.astype("datetime64[us]") - np.timedelta64(DAY, "us")
            day = last_day if self.month_end else np.minimum(inside - clock, last_day)
            return later.astype("datetime64[us]") + day + clock
        if self.weekdays:
            days = times.astype("datetime64[D]")
            shifted = np.busday_offset(days, steps, roll="backward").astype("datetime64[us]")
            return shifted + (times - days.astype("datetime64[us]"))
        return times + steps * np.timedelta64(self.microseconds, "us")

    def after(self, last: np.datetime64, count: int) -> Times:
        """Return the ``count`` times that follow ``last``."""
        return self.shifted(np.repeat(last.astype("datetime64[us]"), count), np.arange(1, count + 1))

    def steps(self, times: Times) -> Steps:
        """Return how many steps lie between consecutive times, ``(rows - 1,)``; 0 if not a whole number of them."""
        if self.months:
            counts = np.diff(times.astype("datetime64[M]")).astype(np.int64) // self.months
        elif self.weekdays:
            days = times.astype("datetime64[D]")
            counts = np.busday_count(days[:-1], days[1:])
        else:
            counts = np.diff(times).astype(np.int64) // self.microseconds
        return np.where(self.shifted(times[:-1], counts) == times[1:], counts, 0)

    def axis(self, times: Times, offsets: Offsets | None) -> Times:
        """Return the times in which steps are regular: UTC or the wall clock."""
        return times - offsets if self.elapsed and offsets is not None else times


def check_ascending(instants: Times, times: Times, place: Callable[[int], str]) -> None:
    """Raise ``ValueError``, with the location of a row, unless each time is later than the one before.

    Args:
        instants: times to compare, in UTC if they have a zone.
        times: the same times on the wall clock.
        place: returns the location of a row.
    """
    change = np.diff(instants).astype(np.int64)
    if not (change <= 0).any():
        return
    if len(change) > 1 and (change < 0).all():
        raise ValueError(f"{place(1)}: the rows descend in time; reverse the file, so that they ascend")
    row = int((change <= 0).argmax()) + 1
    if change[row - 1] == 0:
        raise ValueError(
            f"{place(row)}: {_text(times[row])} occurs a second time, after {place(row - 1)}; if the rows belong to "
            "several series, data.group names the column that says to which; if a clock was set back, data.timezone="
            "Europe/Berlin or the like tells the hours apart; else remove one of them"
        )
    raise ValueError(
        f"{place(row)}: {_text(times[row])} comes before {_text(times[row - 1])}, the row above; "
        "rows must ascend in time"
    )


def frequency_of(times: Times, place: Callable[[int], str], offsets: Offsets | None = None) -> Frequency:
    """Return the frequency that most rows have.

    In a zone that changes its offset from UTC, steps are counted on the wall clock or as elapsed time, whichever is
    more regular.

    Raises:
        ValueError: fewer than 2 rows.
    """
    if len(times) < 2:
        raise ValueError(f"{place(0)}: a series must have at least 2 rows, got {len(times)}")
    wall = _monthly(times) or _by_time(times)
    if offsets is None:
        return wall
    elapsed = _by_time(times - offsets)._replace(weekdays=False, elapsed=True)
    if wall.months == 0 and wall.microseconds <= 0:  # an hour that occurs twice
        return elapsed
    regular = [(found.steps(found.axis(times, offsets)) == 1).sum() for found in (wall, elapsed)]
    is_elapsed = elapsed.microseconds < DAY if regular[0] == regular[1] else regular[1] > regular[0]
    return elapsed if is_elapsed else wall


def check_steps(frequency: Frequency, times: Times, place: Callable[[int], str], gaps: Gaps, *, fitted: bool) -> None:
    """Check that rows are steps of a frequency, as far as ``gaps`` requires it.

    Args:
        frequency: of the data that the model was trained with, unless ``fitted``.
        times: ``(rows,)``, ascending, in which the frequency is regular.
        place: returns the location of a row.
        gaps: with ``error``, each row follows the row above by a step; with ``fill``, by a number of steps; with
            ``allow``, rows may lie any time apart.
        fitted: whether the frequency is that of these times.

    Raises:
        ValueError: there is a gap, or the rows have another frequency; the message says which rows and how far apart.
    """
    steps = frequency.steps(times)
    if (steps == 1).all():
        return
    # rows that may lie any time apart are of another frequency only if they are regular
    other = (steps == steps[0]).all() if gaps == "allow" else np.gcd.reduce(steps) != 1
    if not fitted and len(steps) > 1 and other:
        own = frequency_of(times, place)
        if own.months or own.microseconds != frequency.microseconds:
            raise ValueError(f"{place(0)}: the rows are {own} apart, but the model is for rows {frequency} apart")
    if gaps == "allow" or (gaps == "fill" and (steps > 0).all()):
        return
    row = int(((steps != 1) if gaps == "error" else (steps == 0)).argmax()) + 1
    expected = frequency.after(times[row - 1], 1)[0]
    fill = "data.gaps=fill inserts the missing rows, " if (steps > 0).all() else ""
    raise ValueError(
        f"{place(row)}: {_text(times[row])} follows {_text(times[row - 1])}, where a row every {frequency} would have "
        f"{_text(expected)} ({int((steps != 1).sum())} such gaps); {fill}"
        "data.gaps=allow takes the rows as steps one after the other"
    )


def _monthly(times: Times) -> Frequency | None:
    months = times.astype("datetime64[M]")
    inside = times - months.astype("datetime64[us]")
    left = (months + 1).astype("datetime64[us]") - times
    same_day = bool((inside == inside[0]).all())
    month_end = bool((left == left[0]).all() and left[0] <= np.timedelta64(DAY, "us"))
    steps = np.diff(months).astype(np.int64)
    if not (same_day or month_end) or (steps == 0).any():
        return None
    return Frequency(months=_commonest(steps), month_end=month_end)


def _by_time(times: Times) -> Frequency:
    usual = _commonest(np.diff(times).astype(np.int64))
    weekdays = usual == DAY and len(times) > 7 and bool(np.is_busday(times.astype("datetime64[D]")).all())
    return Frequency(microseconds=usual, weekdays=weekdays)


def _text(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="auto"))


def _commonest(values: Steps) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
