"""Timestamps of a series: parsing, checking their order, extending them into the future."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
"""``datetime64[s]``, in UTC if the text has a time zone, else as written."""
Gaps = Literal["error", "allow"]

FORMATS = (
    *("%Y-%m", "%Y/%m", "%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%Y", "%b %Y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y"),
    *("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S"),
)
DAY = 86400
WEEK = 7 * DAY


class Frequency(NamedTuple):
    """Time between consecutive steps, in whole months or in seconds."""

    months: int = 0
    seconds: int = 0
    weekdays: bool = False  # days except Saturdays and Sundays
    month_end: bool = False  # the last day of each month

    @property
    def season(self) -> int:
        """Steps in a season: a day, a week or a year; 1 if none applies."""
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        if self.seconds == DAY:
            return 5 if self.weekdays else 7
        if self.seconds == WEEK:
            return 52
        return DAY // self.seconds if self.seconds < DAY and DAY % self.seconds == 0 else 1

    def after(self, last: np.datetime64, count: int) -> Times:
        """Return the ``count`` timestamps following ``last``."""
        steps = np.arange(1, count + 1)
        if self.months:
            month = last.astype("datetime64[M]")
            later = month + steps * self.months
            inside = last - month.astype("datetime64[s]")
            longest = (later + 1).astype("datetime64[D]").astype("datetime64[s]") - np.timedelta64(DAY, "s")
            first = later.astype("datetime64[s]")
            clock = inside % np.timedelta64(DAY, "s")
            wanted = longest - first if self.month_end else np.minimum(inside - clock, longest - first)
            return first + wanted + clock
        if self.weekdays:
            day = last.astype("datetime64[D]")
            clock = last - day.astype("datetime64[s]")
            return np.busday_offset(day, steps, roll="backward").astype("datetime64[s]") + clock
        return last + steps * np.timedelta64(self.seconds, "s")


def parse_times(texts: Sequence[str], place: Callable[[int], str], date_format: str | None = None) -> Times:
    """Parse timestamps.

    ``date_format`` is that of ``datetime.strptime``; by default they are read as ISO 8601 or in whichever common format
    fits all of them.

    Raises:
        ValueError: a text is not a timestamp, or two formats fit all but disagree; ``place(row)`` is its location.
    """
    if date_format is not None:
        return _parsed(texts, place, lambda text: datetime.strptime(text, date_format), f"as {date_format!r}")
    for name in (None, *FORMATS):
        read = _reader(name)
        if _reads(read, texts[0]):
            same = [other for other in FORMATS if _day_first(other)] if _day_first(name) else []
            fitting = [other for other in same if all(_reads(_reader(other), text) for text in texts)]
            if fitting:
                read = _reader(_unambiguous(fitting, texts, place))
            return _parsed(texts, place, read, "like the rows before")
    raise ValueError(
        f"{place(0)}: {texts[0]!r} is no date in a known format; data.date_format says how it is written, "
        "'%d.%m.%y' for example"
    )


def _day_first(name: str | None) -> bool:
    """Return whether a format is ambiguous: is 3/4/2020 in March or April?"""
    return name is not None and name.startswith(("%d/%m/%Y", "%m/%d/%Y"))


def _unambiguous(fitting: list[str], texts: Sequence[str], place: Callable[[int], str]) -> str:
    if len(fitting) > 1 and len({str(_reader(name)(text)) for name in fitting for text in texts}) > len(set(texts)):
        raise ValueError(
            f"{place(0)}: {texts[0]!r} may be {' or '.join(fitting)}, and so all rows; data.date_format says which"
        )
    return fitting[0]


def _reader(name: str | None) -> Callable[[str], datetime]:
    return _iso if name is None else lambda text: datetime.strptime(text, name)


def _iso(text: str) -> datetime:
    if text.isdecimal():  # a year or some other number: ISO 8601 dates need their hyphens here
        raise ValueError("digits alone")
    return datetime.fromisoformat(text)


def _reads(read: Callable[[str], datetime], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _parsed(texts: Sequence[str], place: Callable[[int], str], read: Callable[[str], datetime], rule: str) -> Times:
    times: list[datetime] = []
    zoned = False
    for row, text in enumerate(texts):
        try:
            time = read(text)
            utc = time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
        except (ValueError, OverflowError) as error:  # the first hours of year 1 and the last of 9999 have no UTC time
            raise ValueError(f"{place(row)}: {text!r} cannot be read as a date {rule}") from error
        if times and (time.tzinfo is not None) != zoned:
            raise ValueError(f"{place(row)}: {text!r} must name a time zone where other rows do, and not where not")
        zoned = time.tzinfo is not None
        times.append(utc)
    return np.array(times, "datetime64[s]")


def frequency_of(times: Times, place: Callable[[int], str], gaps: Gaps = "error") -> Frequency:
    """Return the frequency of the steps; if gaps are allowed, the most common one.

    Raises:
        ValueError: fewer than 2 rows, not ascending, duplicates, or gaps that are not allowed; with the location.
    """
    if len(times) < 2:
        raise ValueError(f"{place(0)}: a series must have at least 2 rows, got {len(times)}")
    seconds = np.diff(times).astype(np.int64)
    if (seconds <= 0).any():
        row = int((seconds <= 0).argmax()) + 1
        what = "stands a second time" if seconds[row - 1] == 0 else f"comes before {times[row - 1]}, the row above"
        raise ValueError(f"{place(row)}: {times[row]} {what}; rows must ascend in time")
    frequency, regular = _monthly(times) or _by_seconds(times, seconds)
    if gaps == "error" and not regular.all():
        row = int((~regular).argmax()) + 1
        expected = frequency.after(times[row - 1], 1)[0]
        raise ValueError(
            f"{place(row)}: {times[row]} follows {times[row - 1]}, where most rows would have {expected}; "
            "data.gaps=allow takes the rows as steps one after the other"
        )
    return frequency


def _monthly(times: Times) -> tuple[Frequency, NDArray[np.bool_]] | None:
    months = times.astype("datetime64[M]")
    inside = times - months.astype("datetime64[s]")
    left = (months + 1).astype("datetime64[s]") - times
    same_day = bool((inside == inside[0]).all())
    month_end = not same_day and bool((left == left[0]).all())
    steps = np.diff(months).astype(np.int64)
    if not (same_day or month_end) or (steps == 0).any():
        return None
    usual = _commonest(steps)
    return Frequency(months=usual, month_end=month_end), steps == usual


def _by_seconds(times: Times, seconds: NDArray[np.int64]) -> tuple[Frequency, NDArray[np.bool_]]:
    usual = _commonest(seconds)
    days = times.astype("datetime64[D]")
    weekdays = usual == DAY and len(times) > 7 and bool(np.is_busday(days).all())
    regular = np.busday_count(days[:-1], days[1:]) == 1 if weekdays else seconds == usual
    return Frequency(seconds=usual, weekdays=weekdays), regular


def _commonest(values: NDArray[np.int64]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
