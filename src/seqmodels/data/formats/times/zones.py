"""Time zones: from wall-clock times to offsets from UTC and back to text."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from seqmodels.errors import nearest

Times = NDArray[np.datetime64]
"""``datetime64[us]`` of the wall clock: in a time zone, the time that a clock there shows."""
Offsets = NDArray[np.timedelta64]
"""``timedelta64[us]``: wall clock minus UTC."""

MICROSECOND = timedelta(microseconds=1)
DAY = 86_400_000_000  # microseconds


def zone_of(name: str) -> tzinfo:
    """Return the zone of an IANA name like ``Europe/Berlin``, or of an offset like ``+05:30``.

    Raises:
        ValueError: there is no such zone.
    """
    if fixed := re.fullmatch(r"([+-])(\d\d):(\d\d)(?::(\d\d))?", name):
        hours, minutes, seconds = (int(part or 0) for part in fixed.groups()[1:])
        offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(-offset if fixed[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        known = nearest(name, available_timezones())
        example = "must be a name like Europe/Berlin, or an offset like +05:30"
        raise ValueError(f"timezone {example}, got {name!r}{known}") from error


def zone_name(offset: np.timedelta64) -> str:
    """Return a fixed offset from UTC as text: ``+05:30``."""
    return str(timezone(timedelta(microseconds=int(offset.astype(np.int64))))).removeprefix("UTC") or "+00:00"


def offsets_in(zone: tzinfo, times: Times) -> tuple[Offsets, NDArray[np.bool_]]:
    """Return the offset from UTC of wall-clock times, and which of them the zone skips when its clocks go forward.

    Of an hour that occurs twice when clocks go back, times are the first, unless they would then not come after the
    time before.
    """
    found: list[int] = []
    skipped, before = np.zeros(len(times), bool), None
    for row, (wall, clock) in enumerate(zip(times.astype(np.int64).tolist(), times.tolist(), strict=True)):
        first, second = (_offset(zone, clock.replace(fold=fold)) for fold in (0, 1))
        skipped[row] = first < second
        repeats = first > second and before is not None and wall - first <= before
        found.append(second if repeats else first)
        before = wall - found[-1]
    return np.array(found, "timedelta64[us]"), skipped


def wall_clock(zone: tzinfo, instants: Times) -> tuple[Times, Offsets]:
    """Return the wall-clock times and offsets of times in UTC."""
    offsets = [_offset(zone, utc.replace(tzinfo=UTC).astimezone(zone)) for utc in instants.tolist()]
    found = np.array(offsets, "timedelta64[us]")
    return instants + found, found


def _offset(zone: tzinfo, time: datetime) -> int:
    """Return the offset of a time in a zone, in microseconds."""
    offset = time.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    return offset // MICROSECOND


Unit = Literal["D", "s", "ms", "us"]


class TimeStyle(NamedTuple):
    """How the times of a series are written: all to the same precision, and in its zone.

    Example:
        >>> TimeStyle("Europe/Berlin", "s").texts(np.array(["2020-07-01T12:00"], "datetime64[us]"))
        ['2020-07-01T12:00:00+02:00']
    """

    zone: str | None = None
    """IANA name or offset; None: times have no zone."""
    unit: Unit = "s"
    """``D`` (dates), ``s`` (seconds), ``ms`` or ``us``."""

    def texts(self, times: NDArray[np.generic]) -> list[str]:
        """Return consecutive wall-clock times, ``datetime64[us]`` or microseconds since 1970, in ISO 8601."""
        moments = times.astype("datetime64[us]")
        texts: list[str] = np.datetime_as_string(moments, unit=self.unit).tolist()
        if self.zone is None:
            return texts
        offsets, _ = offsets_in(zone_of(self.zone), moments)
        return [text + zone_name(offset) for text, offset in zip(texts, offsets, strict=True)]


def style_of(times: Times, step: int, zone: str | None) -> TimeStyle:
    """Return the style that shows times ``step`` microseconds apart exactly; dates alone if all are midnights."""
    inside = np.append(times.astype(np.int64), step)
    units: dict[Unit, int] = {"D": DAY, "s": 1_000_000, "ms": 1000, "us": 1}
    exact = [unit for unit, size in units.items() if not (inside % size).any()]
    return TimeStyle(zone, "s" if zone is not None and exact[0] == "D" else exact[0])
