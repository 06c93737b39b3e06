"""Points in time: formats, order, gaps, what comes next."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data.formats.series_table import CSVOptions, SeriesTable, read_series
from seqmodels.data.formats.times.frequency import SECOND, Frequency, Gaps
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
        (["1958Q3", "1958Q4"], "1958-07-01T00:00:00"),
        (["13-04-2020 7:30", "03-05-2020 8:30"], "2020-04-13T07:30:00"),
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


BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def zoned(zone: ZoneInfo, first: datetime, step: timedelta, count: int) -> list[str]:
    """Return times ``step`` apart on the wall clock."""
    return [str((first + step * number).replace(tzinfo=zone)) for number in range(count)]


def hours(zone: ZoneInfo, first: datetime, count: int, hours: int = 1) -> list[str]:
    """Return times so many hours of elapsed time apart."""
    start = first.replace(tzinfo=zone).astimezone(UTC)
    return [str((start + timedelta(hours=hours * number)).astimezone(zone)) for number in range(count)]


def continued(found: Grid, count: int) -> list[str]:
    table = SeriesTable(
        ("y",), torch.zeros(len(found.times), 1), found.times, found.frequency, offsets=found.offsets, zone=found.zone
    )
    return table.style.texts(table.future(count))


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("texts", "elapsed", "step"),
    [
        (zoned(BERLIN, datetime(2020, 3, 1), DAY, 60), False, "1 day"),
        (zoned(BERLIN, datetime(2020, 10, 1), DAY, 60), False, "1 day"),
        (zoned(BERLIN, datetime(2020, 3, 1), timedelta(hours=12), 90), False, "12 hours"),
        (hours(BERLIN, datetime(2020, 3, 28), 60), True, "1 hour"),
        (hours(BERLIN, datetime(2020, 10, 24), 60), True, "1 hour"),
        (hours(BERLIN, datetime(2020, 10, 20), 30, hours=24), True, "1 day"),
        (zoned(BERLIN, datetime(2020, 1, 31), DAY * 7, 30), False, "1 week"),
    ],
    ids=["spring days", "autumn days", "noons", "spring hours", "autumn hours", "days of UTC", "weeks"],
)
def test_rows_are_regular_through_a_change_of_clocks_and_go_on_by_the_rules_of_the_zone(
    texts: list[str], elapsed: bool, step: str
) -> None:
    found = read(*texts[:-7], zone="Europe/Berlin")
    assert (found.frequency.elapsed, str(found.frequency)) == (elapsed, step)
    assert continued(found, 7) == [text.replace(" ", "T") for text in texts[-7:]]
    without = read(*texts[:-7])
    assert without.frequency == found.frequency, "the change of clocks is no gap without rules either"
    local = [np.datetime64(text) for text in continued(without, 7)]
    assert local == [np.datetime64(text[:19]) for text in texts[-7:]]


def test_times_keep_their_offset_and_it_goes_on() -> None:
    found = read(*zoned(KOLKATA, datetime(2020, 1, 1), DAY, 200))
    assert (found.zone, continued(found, 1)) == ("+05:30", ["2020-07-19T00:00:00+05:30"])
    features = calendar_features(found.times[:1], ["weekday"], 1)
    assert float((features + 0.5) * 6) == pytest.approx(2), "1 January 2020 was a Wednesday"


def test_without_rules_local_times_go_on_without_an_offset_and_this_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{text},1\n" for text in zoned(BERLIN, datetime(2020, 3, 25), DAY, 9))
    with caplog.at_level("INFO", "seqmodels"):
        table = read_series(f"day,y\n{rows}".encode(), "my.csv", CSVOptions(time="day"))
    assert table.style.texts(table.future(1)) == ["2020-04-03"], "no offset, as earlier rows have another"
    assert "my.csv: the offset of its times from UTC changes (+01:00, +02:00)" in caplog.text


def test_local_times_are_put_on_the_clock_of_their_zone() -> None:
    local = [text[:19] for text in hours(BERLIN, datetime(2020, 10, 24, 22), 9)]
    assert local[4:7] == ["2020-10-25 02:00:00", "2020-10-25 02:00:00", "2020-10-25 03:00:00"]
    found = read(*local, zone="Europe/Berlin")
    assert found.frequency == Frequency(microseconds=3600 * SECOND, elapsed=True)
    assert continued(found, 1) == ["2020-10-25T06:00:00+01:00"]
    with pytest.raises(ValueError, match=r"row 1: 2020-03-29T02:30:00.* does not exist in Europe/Berlin"):
        read("2020-03-29 01:30", "2020-03-29 02:30", zone="Europe/Berlin")


def test_a_zone_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"timezone must be .*got 'Europe/Berln'; did you mean 'Europe/Berlin'"):
        CSVOptions(timezone="Europe/Berln").checked()


@pytest.mark.parametrize(("date_format", "unit"), [("unix", 1), ("%s", 1), ("unix_ms", 10**3), ("unix_us", 10**6)])
def test_unix_times_are_read_when_asked(date_format: str, unit: int) -> None:
    texts = [str((1577836800 + 86400 * day) * unit) for day in range(9)]
    assert continued(read(*texts, date_format=date_format), 1) == ["2020-01-10T00:00:00+00:00"]
    assert continued(read(*texts, date_format=date_format, zone="Asia/Kolkata"), 1) == ["2020-01-10T05:30:00+05:30"]
    with pytest.raises(ValueError, match=r"row 0: '15778368.*unix, unix_ms"):
        read(*texts)
    with pytest.raises(ValueError, match="row 1: 'x' cannot be read as a time of format unix"):
        read("1", "x", date_format="unix")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2020-01-01 22:00", "2020-01-01 23:00"], ["2020-01-02T00:00:00", "2020-01-02T01:00:00"]),
        (["2020-01-01 00:00", "2020-01-02 00:00"], ["2020-01-03", "2020-01-04"]),
        (["2020-01-01 12:00", "2020-01-02 12:00"], ["2020-01-03T12:00:00", "2020-01-04T12:00:00"]),
        (["2020-01", "2020-02"], ["2020-03-01", "2020-04-01"]),
        (["2020-01-01 00:00:00.5", "2020-01-01 00:00:01"], ["2020-01-01T00:00:01.500", "2020-01-01T00:00:02.000"]),
        (["2020-01-01 00:00:00.000001", "2020-01-01 00:00:00.000003"], ["2020-01-01T00:00:00.000005"]),
    ],
)
def test_all_times_that_continue_a_series_are_written_alike(texts: list[str], expected: list[str]) -> None:
    assert continued(read(*texts), len(expected)) == expected


WORKING = Frequency(microseconds=86400 * SECOND, weekdays=True)
QUARTERS = Frequency(months=3, month_end=True)
HOURS = Frequency(microseconds=3600 * SECOND)


@pytest.mark.parametrize(
    ("texts", "frequency", "expected"),
    [
        (["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"], WORKING, "2020-01-13"),
        (["2020-01-09", "2020-01-10", "2020-01-13", "2020-01-14", "2020-01-15"], WORKING, "2020-01-16"),
        (["2020-01-10"], WORKING, "2020-01-13"),
        (["1970-06-30", "1970-09-30"], QUARTERS, "1970-12-31"),
        (["2020-02-29", "2020-05-31"], QUARTERS, "2020-08-31"),
    ],
)
def test_new_rows_are_read_and_go_on_by_the_frequency_of_training(
    texts: list[str], frequency: Frequency, expected: str
) -> None:
    assert continued(read(*texts, frequency=frequency), 1) == [expected]


@pytest.mark.parametrize("gaps", ["error", "fill", "allow"])
@pytest.mark.parametrize(
    ("texts", "frequency", "reason"),
    [
        (["2020-01-01", "2020-01-02", "2020-01-03"], HOURS, "1 day apart, but .*is for rows 1 hour apart"),
        (["2020-01-06", "2020-01-13", "2020-01-20"], WORKING, "1 week apart, but .* rows 1 working day apart"),
        (["2020-01-01", "2020-01-02", "2020-01-03"], Frequency(months=1), "1 day apart, but .* 1 month apart"),
        (["2020-01-01", "2020-02-01", "2020-03-01"], QUARTERS, r"1 month apart, but .* 3 months \(month ends\) apart"),
        (["2020-01-01 00:00", "2020-01-01 00:15", "2020-01-01 00:30"], HOURS, "15 minutes apart, but .*1 hour apart"),
    ],
)
def test_new_rows_of_another_frequency_are_refused(
    texts: list[str], frequency: Frequency, reason: str, gaps: Gaps
) -> None:
    with pytest.raises(ValueError, match=reason):
        read(*texts, frequency=frequency, gaps=gaps)


@pytest.mark.parametrize("gaps", ["error", "fill"])
def test_new_rows_of_another_frequency_are_refused_with_gaps_as_well(gaps: Gaps) -> None:
    with pytest.raises(ValueError, match=r"1 day apart, but .*is for rows 1 hour apart"):
        read("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-05", frequency=HOURS, gaps=gaps)


def test_two_rows_of_an_hour_that_occurs_twice_are_an_hour_apart() -> None:
    assert read("2020-10-25 02:00+02:00", "2020-10-25 02:00+01:00").frequency == HOURS._replace(elapsed=True)


@pytest.mark.parametrize(
    "frequency",
    [HOURS, WORKING, QUARTERS, Frequency(months=1), Frequency(microseconds=7 * 86400 * SECOND)],
    ids=str,
)
def test_missing_rows_are_inserted_where_they_were(frequency: Frequency) -> None:
    start = np.datetime64("2020-01-31" if frequency.month_end else "2020-01-15", "us")
    whole = frequency.after(start, 23)
    kept = np.array([0, 1, 2, 6, 7, 8, 11, 12, 13, 14, 15, 16, 22])
    found = grid_of(Stamps(whole[kept], None, "iso"), place, gaps="fill", frequency=frequency)
    assert (found.times == whole).all()
    assert found.rows.nonzero()[0].tolist() == list(range(1, 23))
    assert found.rows[kept].tolist() == list(range(len(kept)))
    assert (found.rows == -1).sum() == 23 - len(kept)


def test_missing_hours_are_inserted_through_a_change_of_clocks() -> None:
    texts = hours(BERLIN, datetime(2020, 10, 24), 60)
    kept = [*texts[:25], *texts[28:]]
    for zone in ("Europe/Berlin", None):
        found, whole = read(*kept, zone=zone, gaps="fill"), read(*texts)
        assert found.offsets is not None
        assert whole.offsets is not None
        assert (found.times - found.offsets == whole.times - whole.offsets).all()
        assert (found.rows == -1).nonzero()[0].tolist() == [25, 26, 27]


def test_rows_between_the_steps_and_a_gap_of_ages_are_not_filled() -> None:
    with pytest.raises(ValueError, match=r"row 3: .*would have 2020-01-04"):
        read("2020-01-01", "2020-01-02", "2020-01-03", "2020-01-03 12:00", "2020-01-05", gaps="fill")
    with pytest.raises(ValueError, match="row 2: 73047 steps after the row above"):
        read("2020-01-01", "2020-01-02", "2220-01-01", gaps="fill")


def test_rows_in_descending_order_are_told_apart() -> None:
    with pytest.raises(ValueError, match="row 1: the rows descend in time; reverse the file"):
        read("2020-01-03", "2020-01-02", "2020-01-01")
