"""Points in time: formats, order, gaps, what comes next."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.formats.times.frequency import SECOND, Frequency
from seqmodels.data.formats.times.grid import Grid, grid_of
from seqmodels.data.formats.times.parsing import Stamps, parse_times
from seqmodels.data.series.calendar import calendar_features


def place(row: int) -> str:
    return f"row {row}"


def times(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]")


def read(*texts: str, zone: str | None = None, date_format: str | None = None, **options: Any) -> Grid:
    return grid_of(parse_times(texts, place, date_format, zone), place, timezone=zone, **options)


def seconds(found: np.ndarray) -> list[str]:
    return [str(time.astype("datetime64[s]")) for time in found]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["2016-07-01 00:00:00", "2016-07-01 01:00:00"], "2016-07-01T00:00:00"),
        (["2016-07-01T02:00:00+02:00", "2016-07-01T01:00:00Z"], "2016-07-01T02:00:00"),
        (["2016-07-01 02:00:00 UTC"], "2016-07-01T02:00:00"),
        (["19580329"], "1958-03-29T00:00:00"),
        (["2016 7 1 5"], "2016-07-01T05:00:00"),
        (["12/30/2020 1:05 PM"], "2020-12-30T13:05:00"),
        (["1949-01", "1949-02"], "1949-01-01T00:00:00"),
        (["1700", "1701"], "1700-01-01T00:00:00"),
        (["31.12.2020", "01.01.2021"], "2020-12-31T00:00:00"),
        (["12/30/2020", "12/31/2020"], "2020-12-30T00:00:00"),
        (["03/04/2020", "13/04/2020"], "2020-04-03T00:00:00"),
        (["03/04/2020", "03/14/2020"], "2020-03-04T00:00:00"),
    ],
)
def test_common_formats_are_read_as_they_are_meant(texts: list[str], first: str) -> None:
    assert seconds(parse_times(texts, place).times)[0] == first


@pytest.mark.parametrize(
    ("texts", "date_format", "reason"),
    [
        (["03/04/2020", "04/04/2020"], None, "row 0: '03/04/2020' may be .*date_format says which"),
        (["yesterday"], None, "row 0: 'yesterday' is no date in a known format"),
        (["2020-01-01", "soon"], None, "row 1: 'soon' cannot be read as a date like the rows before"),
        (["1/2/2020"], "%d.%m.%y", "row 0: .* as '%d.%m.%y'"),
        (["2020-01-01", "2020-01-02T00:00:00Z"], None, "row 1: .*time zone"),
        ([""], None, "row 0: ''"),
    ],
)
def test_what_is_no_date_is_named_with_its_row(texts: list[str], date_format: str | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_times(texts, place, date_format)


def test_an_ambiguous_date_is_read_as_one_says() -> None:
    assert seconds(parse_times(["03/04/2020"], place, "%d/%m/%Y").times) == ["2020-04-03T00:00:00"]


@pytest.mark.parametrize(
    ("frequency", "season", "first"),
    [
        (Frequency(microseconds=3600 * SECOND), 24, "2021-01-31T13:00:00"),
        (Frequency(microseconds=900 * SECOND), 96, "2021-01-31T12:15:00"),
        (Frequency(microseconds=86400 * SECOND), 7, "2021-02-01T12:00:00"),
        (Frequency(microseconds=86400 * SECOND, weekdays=True), 5, "2021-02-01T12:00:00"),
        (Frequency(microseconds=7 * 86400 * SECOND), 52, "2021-02-07T12:00:00"),
        (Frequency(months=1), 12, "2021-02-28T12:00:00"),
        (Frequency(months=1, month_end=True), 12, "2021-02-28T12:00:00"),
        (Frequency(months=3), 4, "2021-04-30T12:00:00"),
        (Frequency(months=12), 1, "2022-01-31T12:00:00"),
        (Frequency(microseconds=5000 * SECOND), 1, "2021-01-31T13:23:20"),
    ],
)
def test_every_frequency_has_its_season_and_goes_on(frequency: Frequency, season: int, first: str) -> None:
    assert frequency.season == season
    assert seconds(frequency.after(np.datetime64("2021-01-31T12:00:00", "us"), 2))[0] == first


@pytest.mark.parametrize(
    "frequency",
    [
        Frequency(microseconds=600 * SECOND),
        Frequency(microseconds=3600 * SECOND),
        Frequency(microseconds=86400 * SECOND),
        Frequency(microseconds=86400 * SECOND, weekdays=True),
        Frequency(microseconds=604800 * SECOND),
        Frequency(months=1),
        Frequency(months=1, month_end=True),
        Frequency(months=3),
        Frequency(months=12),
    ],
)
def test_the_frequency_of_what_a_frequency_continues_is_itself(frequency: Frequency) -> None:
    start = np.datetime64("1999-12-31T00:00:00" if frequency.month_end else "1999-12-03T00:00:00", "us")
    assert grid_of(Stamps(frequency.after(start, 37), None, "iso"), place).frequency == frequency


@pytest.mark.parametrize(
    ("given_times", "reason"),
    [
        (times("2020-01-01"), "at least 2 rows, got 1"),
        (times("2020-01-01", "2020-01-03", "2020-01-02"), "row 2: .*comes before .*2020-01-03"),
        (times("2020-01-01", "2020-01-02", "2020-01-02"), "row 2: .*occurs a second time, after row 1"),
        (times("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-05"), "row 3: .*would have 2020-01-04.*gaps=allow"),
        (times("2020-01-01", "2020-02-01", "2020-03-01", "2020-05-01"), "row 3: .*would have 2020-04-01"),
    ],
)
def test_rows_out_of_order_twice_or_with_gaps_are_named(given_times: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        grid_of(Stamps(given_times, None, "iso"), place)


def test_gaps_that_are_allowed_leave_the_usual_frequency() -> None:
    found = read("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-05", gaps="allow")
    assert found.frequency == Frequency(microseconds=86400 * SECOND)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 86399))
def test_calendar_features_are_what_the_calendar_says(day: date, second: int) -> None:
    moment = np.array([np.datetime64(day, "us") + np.timedelta64(second, "s")])
    names = ("minute", "hour", "weekday", "day", "day_of_year", "month")
    expected = [
        second // 60 % 60 / 59,
        second // 3600 / 23,
        day.weekday() / 6,
        (day.day - 1) / 30,
        (day - date(day.year, 1, 1)) / timedelta(days=365),
        (day.month - 1) / 11,
    ]
    assert calendar_features(moment, names, 1)[0].tolist() == pytest.approx([x - 0.5 for x in expected], abs=1e-6)


def test_a_date_that_has_no_time_in_the_zone_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: '0001-01-01T00:00:00\+01:00' cannot be read"):
        read("0001-01-01T15:00:00+01:00", "0001-01-01T00:00:00+01:00", zone="America/Lima")
