"""The time grid of a series: its rows, regular steps apart, and those that are missing."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqmodels.data.formats.times.frequency import Frequency, Gaps, check_ascending, check_steps, frequency_of
from seqmodels.data.formats.times.parsing import Stamps
from seqmodels.data.formats.times.zones import DAY, Offsets, Times, offsets_in, wall_clock, zone_name, zone_of

MOST = 100  # steps per row, with the missing rows


class Grid(NamedTuple):
    """Times of a series, and the rows that have them."""

    times: Times  # (steps,) wall clock
    offsets: Offsets | None  # (steps,) if the times have a zone
    zone: str | None  # its IANA name or offset; None if the offset changes by rules that are not known
    frequency: Frequency
    rows: NDArray[np.int64]  # (steps,) -1 for missing rows


def grid_of(
    stamps: Stamps,
    place: Callable[[int], str],
    *,
    gaps: Gaps = "error",
    frequency: Frequency | None = None,
    timezone: str | None = None,
) -> Grid:
    """Return the grid of the times of a series.

    Args:
        stamps: times of the rows.
        place: returns the location of a row for error messages.
        gaps: ``error``; ``fill`` inserts missing rows; ``allow`` takes rows as consecutive steps, however far apart.
        frequency: that the times must have; by default, that which most of them have.
        timezone: zone of times without an offset from UTC, and by whose rules the times continue.

    Raises:
        ValueError: the times do not ascend, have another frequency or have gaps; the message names the row.
    """
    stamps, zone = localized(stamps, place, timezone), timezone
    times, offsets = stamps.times, stamps.offsets
    if timezone is None and offsets is not None and (offsets == offsets[0]).all():
        zone = zone_name(offsets[0])
    check_ascending(times if offsets is None else times - offsets, times, place)
    found = frequency or frequency_of(times, place, offsets)
    check_steps(found, found.axis(times, offsets), place, gaps, fitted=frequency is None)
    grid = Grid(times, offsets, zone, found, np.arange(len(times)))
    return _with_missing_rows(grid, place, timezone) if gaps == "fill" else grid


def localized(stamps: Stamps, place: Callable[[int], str], timezone: str | None) -> Stamps:
    """Return the times of one series with their offsets from UTC in a zone, if they have none and it is given.

    Raises:
        ValueError: a time does not exist in the zone. Dates alone do, also where clocks go forward at midnight.
    """
    if timezone is None or stamps.offsets is not None:
        return stamps
    offsets, skipped = offsets_in(zone_of(timezone), stamps.times)
    if skipped.any() and (stamps.times.astype(np.int64) % DAY).any():
        row = int(skipped.argmax())
        raise ValueError(f"{place(row)}: {stamps.times[row]} does not exist in {timezone}, as clocks go forward")
    return stamps._replace(offsets=offsets)


def _with_missing_rows(grid: Grid, place: Callable[[int], str], timezone: str | None) -> Grid:
    axis = grid.frequency.axis(grid.times, grid.offsets)
    steps = grid.frequency.steps(axis)
    positions = np.concatenate([[0], steps.cumsum()])
    count = int(positions[-1]) + 1
    if count > MOST * len(axis):
        row = int(steps.argmax()) + 1
        raise ValueError(f"{place(row)}: {steps.max()} steps after the row above: are both times right?")
    rows = np.full(count, -1)
    rows[positions] = grid.rows
    before = np.maximum.accumulate(rows)  # the last row that is there
    axis = grid.frequency.shifted(axis[before], np.arange(count) - positions[before])
    if grid.offsets is None:
        return grid._replace(times=axis, rows=rows)
    offsets = grid.offsets[before]
    if timezone is None:
        times = axis + offsets if grid.frequency.elapsed else axis
    elif grid.frequency.elapsed:
        times, offsets = wall_clock(zone_of(timezone), axis)
    else:
        times, offsets = axis, offsets_in(zone_of(timezone), axis)[0]
    return grid._replace(times=times, offsets=offsets, rows=rows)
