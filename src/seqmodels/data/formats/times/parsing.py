"""Timestamps as text, in many formats."""

import logging
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np

from seqmodels.data.formats.times.zones import MICROSECOND, Offsets, Times, zone_name, zone_of

log = logging.getLogger("seqmodels")

CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H", " %I:%M %p", " %I:%M:%S %p")
AMBIGUOUS = tuple(f"{day}{clock}" for day in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y") for clock in CLOCKS)
"""Is 3/4/2020 in March or April?"""
FORMATS = (
    *("%Y-%m", "%Y/%m", "%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%Y", "%b %Y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y"),
    *AMBIGUOUS,
    # columns joined with a space
    *("%Y %m", "%Y %m %d", "%Y %m %d %H", "%Y %m %d %H %M", "%Y %m %d %H %M %S"),
    *("%Y-%m-%d %H", "%d.%m.%Y %H"),
)
ISO = "iso"
UNIX = {
    name: Decimal(size)
    for name, size in (("unix", "1e6"), ("%s", "1e6"), ("unix_ms", "1e3"), ("unix_us", "1"), ("unix_ns", "1e-3"))
}
"""Formats that count from 1970 in UTC, with their unit in microseconds."""
EPOCH = datetime(1970, 1, 1)
Reader = Callable[[str], datetime]


class Stamps(NamedTuple):
    """Times of rows as written."""

    times: Times  # (rows,) wall clock
    offsets: Offsets | None  # (rows,) if the times have a zone
    date_format: str  # in which they are written

    def take(self, rows: Sequence[int]) -> "Stamps":
        """Select rows."""
        index = np.array(rows, dtype=np.int64)
        offsets = None if self.offsets is None else self.offsets[index]
        return self._replace(times=self.times[index], offsets=offsets)


def parse_times(
    texts: Sequence[str], place: Callable[[int], str], date_format: str | None = None, zone: str | None = None
) -> Stamps:
    """Parse timestamps.

    Args:
        texts: one per row.
        place: returns the location of a row for error messages.
        date_format: as for ``datetime.strptime``; ``iso`` (ISO 8601); ``unix``, ``unix_ms``, ``unix_us`` or ``unix_ns``
            (seconds, milliseconds, ... since 1970). By default, ISO 8601 or whichever common format fits all rows. ISO
            8601 is also read where another format is given.
        zone: zone whose wall clock the times are put into if they have an offset from UTC.

    Raises:
        ValueError: a text is not a timestamp, or two formats fit all but disagree.
    """
    if date_format in UNIX:
        return _from_1970(texts, place, date_format, zone or "+00:00")
    if date_format is not None and (_reads(_reader(date_format), texts[0]) or not _reads(_iso, texts[0])):
        return _parsed(texts, place, date_format, f"as {date_format!r}", zone)
    for name in (ISO, *FORMATS):
        if _reads(_reader(name), texts[0]):
            same = AMBIGUOUS if name in AMBIGUOUS else ()
            fitting = [other for other in same if all(_reads(_reader(other), text) for text in texts)]
            found = _unambiguous(fitting, texts, place) if fitting else name
            return _parsed(texts, place, found, "like the rows before", zone)
    raise ValueError(
        f"{place(0)}: {texts[0]!r} is no date in a known format; data.date_format says how it is written: "
        "'%d.%m.%y' for example, or unix, unix_ms, unix_us for a count since 1970"
    )


def _unambiguous(fitting: list[str], texts: Sequence[str], place: Callable[[int], str]) -> str:
    if len(fitting) > 1 and len({str(_reader(name)(text)) for name in fitting for text in texts}) > len(set(texts)):
        raise ValueError(
            f"{place(0)}: {texts[0]!r} may be {' or '.join(fitting)}, and so all rows; data.date_format says which"
        )
    return fitting[0]


def _reader(name: str) -> Reader:
    return _iso if name == ISO else lambda text: datetime.strptime(text, name)


def _iso(text: str) -> datetime:
    # of ISO 8601 without hyphens, only whole dates: other digits are a year or some other number
    if text.isdecimal() and not (len(text) == 8 and "1000" <= text[:4] < "3000"):
        raise ValueError("digits alone")
    if quarter := re.fullmatch(r"(\d{4})-?Q([1-4])", text):
        return datetime(int(quarter[1]), 3 * int(quarter[2]) - 2, 1)
    return datetime.fromisoformat(re.sub(r" UTC$", "+00:00", text))


def _reads(read: Reader, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _parsed(texts: Sequence[str], place: Callable[[int], str], date_format: str, rule: str, zone: str | None) -> Stamps:
    read, into = _reader(date_format), None if zone is None else zone_of(zone)
    times: list[datetime] = []
    offsets: list[timedelta] = []
    for row, text in enumerate(texts):
        try:
            time = read(text)
            time = time if into is None or time.tzinfo is None else time.astimezone(into)
        except (ValueError, OverflowError) as error:  # the first hours of year 1 and the last of 9999 in another zone
            raise ValueError(f"{place(row)}: {text!r} cannot be read as a date {rule}") from error
        offset = time.utcoffset()
        if times and (offset is None) != (not offsets):
            raise ValueError(f"{place(row)}: {text!r} must name a time zone where other rows do, and not where not")
        times.append(time.replace(tzinfo=None))
        if offset is not None:
            offsets.append(offset)
    found = np.array([offset // MICROSECOND for offset in offsets], "timedelta64[us]") if offsets else None
    return Stamps(np.array(times, "datetime64[us]"), found, date_format)


def _from_1970(texts: Sequence[str], place: Callable[[int], str], date_format: str, zone: str) -> Stamps:
    times, offsets, into = [], [], zone_of(zone)
    for row, text in enumerate(texts):
        try:
            utc = EPOCH + timedelta(microseconds=round(Decimal(text) * UNIX[date_format]))
            offset = utc.replace(tzinfo=zone_of("+00:00")).astimezone(into).utcoffset()
        except (InvalidOperation, OverflowError, ValueError) as error:
            raise ValueError(f"{place(row)}: {text!r} cannot be read as a time of format {date_format}") from error
        assert offset is not None
        times.append(utc + offset)
        offsets.append(offset // MICROSECOND)
    return Stamps(np.array(times, "datetime64[us]"), np.array(offsets, "timedelta64[us]"), date_format)


def log_change_of_zone(stamps: Stamps, name: str, zone: str | None) -> None:
    """Log that the offset from UTC changes, unless a zone says by which rules."""
    if zone is None and stamps.offsets is not None and len(found := list(dict.fromkeys(stamps.offsets.tolist()))) > 1:
        offsets = ", ".join(zone_name(np.timedelta64(offset, "us")) for offset in found)
        log.info(
            "%s: the offset of its times from UTC changes (%s); forecasts have local times without an offset, and "
            "continue with the last one: data.timezone, Europe/Berlin for example, names the rules", name, offsets
        )  # fmt: skip
