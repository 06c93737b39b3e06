"""Series in a file of your own: a file is read at prediction as the training file was, however it is written."""

import gzip
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import CSVSeriesData, DataModule, ForecastBatch
from seqmodels.data.formats.times.zones import TimeStyle
from tests.datasets import ready

STEPS, INPUT, HORIZON = 60, 5, 3
START = datetime(2020, 1, 1)


def table(
    times: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\n", header: str = "day,a,b", decimal: str = "."
) -> str:
    """Return a table of two series."""
    cells = [[f"{10 + step % 7}.5", str(3 * step)] for step in range(STEPS)]
    rows = [[*time, *row] for time, row in zip(times, cells, strict=True)]
    rows = [[cell.replace(".", decimal) if n >= len(row) - 2 else cell for n, cell in enumerate(row)] for row in rows]
    lines = [delimiter.join(header.split(",")), *(delimiter.join(row) for row in rows)]
    return end.join(lines if header else lines[1:])


def days(style: str = "%Y-%m-%d", step: timedelta = timedelta(days=1)) -> list[list[str]]:
    return [[(START + step * n).strftime(style)] for n in range(STEPS)]


def own(path: Path, content: str | bytes, **options: Any) -> DataModule:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return ready(CSVSeriesData, path=path, **{"time": "day", "input_length": INPUT, "horizon": HORIZON, **options})


def forecast(data: DataModule, path: Path) -> ForecastBatch:
    """Return what a forecast reads of a new file."""
    preprocessing = build(data.preprocessing)
    (example,) = preprocessing.examples(preprocessing.read(str(path)))
    assert example.error == ""
    batch: ForecastBatch = preprocessing.collate([example.value])
    return batch


def texts(data: DataModule, path: Path) -> list[str]:
    return TimeStyle(*data.sizes["time_style"]).texts(forecast(data, path).times[0].numpy())


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("my.csv", table(days(), ";"), {"delimiter": ";"}),
        ("my.csv", table(days(), "|"), {}),
        ("my.tsv", table(days(), "\t"), {}),
        ("my.txt", table(days(), "\t"), {"delimiter": "\\t"}),
        ("my.csv", table(days(), end="\r"), {}),
        ("my.csv", table(days(), ";", decimal=","), {"decimal": ","}),
        ("my.csv", table(days(), header=""), {"header": False, "time": 0, "target": [1, 2]}),
        ("my.csv", table(days(), header='day,a,"b'), {"quotes": False, "target": ["a", '"b']}),
        ("my.csv", table(days(), header="tag,ä,ö").encode("latin-1"), {"encoding": "latin-1", "time": "tag"}),
        ("my.csv", b"\xef\xbb\xbf" + table(days()).encode(), {}),
        ("my.csv.gz", gzip.compress(table(days()).encode()), {}),
        ("my.csv", gzip.compress(table(days()).encode()), {}),
        ("my.csv", table(days("%d/%m/%Y")), {}),
        ("my.csv", table(days("%Y%m%d")), {}),
        ("my.csv", table(days("%d-%m-%y")), {"date_format": "%d-%m-%y"}),
        (
            "my.csv",
            table([time[0].split("-") for time in days()], header="year,month,day,a,b"),
            {"time": ["year", "month", "day"]},
        ),
    ],
    ids=[
        *("semicolon", "bar", "tsv", "written tab", "CR", "decimal comma", "no header", "no quotes", "latin-1", "mark"),
        *("gz", "gz by content", "day first", "digits", "date_format", "three columns"),
    ],
)
def test_a_file_is_read_at_prediction_as_in_training(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any]
) -> None:
    plain, other = own(tmp_path / "plain.csv", table(days())), own(tmp_path / name, content, **options)
    expected = forecast(plain, tmp_path / "plain.csv")
    for one, same in zip(forecast(other, tmp_path / name), expected, strict=True):
        assert torch.equal(one, same)


@pytest.mark.parametrize(
    ("style", "new", "expected"),
    [
        ("%d/%m/%Y", "03/04/2020", "2020-04-04"),  # as if alone, it could be March
        ("%Y-%m-%d", "2020-04-03", "2020-04-04"),
        ("%d-%b-%Y", "2020-04-03", "2020-04-04"),  # ISO 8601 needs no format
    ],
)
def test_a_single_new_row_is_read_by_what_training_settled(tmp_path: Path, style: str, new: str, expected: str) -> None:
    data = own(tmp_path / "my.csv", table(days(style)), input_length=1)
    (tmp_path / "new.csv").write_text(f"day,a,b\n{new},1.5,2\n")
    assert texts(data, tmp_path / "new.csv")[0] == expected


def zoned(zone: str, step: Callable[[int], timedelta]) -> list[list[str]]:
    """Return the times a number of steps after midnight on the wall clock of a zone."""
    return [[str((START + step(n)).replace(tzinfo=ZoneInfo(zone)))] for n in range(STEPS)]


def hours(zone: str, first: datetime) -> list[list[str]]:
    start = first.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return [[str((start + timedelta(hours=n)).astimezone(ZoneInfo(zone)))] for n in range(STEPS)]


@pytest.mark.parametrize(
    ("times", "options", "expected"),
    [
        (zoned("Asia/Kolkata", lambda n: timedelta(days=n)), {}, "2020-03-01T00:00:00+05:30"),
        (zoned("Europe/Berlin", lambda n: timedelta(days=50 + n)), {}, "2020-04-20"),
        (
            zoned("Europe/Berlin", lambda n: timedelta(days=28 + n)),
            {"timezone": "Europe/Berlin"},
            "2020-03-29T00:00:00+01:00",
        ),
        (
            hours("Europe/Berlin", datetime(2020, 3, 26, 14)),
            {"timezone": "Europe/Berlin"},
            "2020-03-29T03:00:00+02:00",
        ),
        ([[str(1577836800 + 86400 * n)] for n in range(STEPS)], {"date_format": "unix"}, "2020-03-01T00:00:00+00:00"),
        (days("%Y-%m-%d %H:%M", timedelta(hours=1)), {}, "2020-01-03T12:00:00"),
        (days(), {}, "2020-03-01"),
    ],
    ids=["offset", "change of offset", "days of Berlin", "hours of Berlin", "unix", "hours", "days"],
)
def test_forecasts_are_at_the_times_that_follow_in_the_zone_of_the_file(
    tmp_path: Path, times: list[list[str]], options: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "my.csv"
    assert texts(own(path, table(times), **options), path)[0] == expected


def test_the_calendar_is_that_of_the_zone(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    for zone in ("Asia/Kolkata", "Europe/Berlin", "America/New_York"):
        data = own(path, table(zoned(zone, lambda n: timedelta(days=n))), calendar=["weekday", "hour", "day"])
        inputs = data.split("train").__getitems__([0]).inputs[0, :, 2:]
        expected = [[(2 + n) % 7 / 6 - 0.5, -0.5, n / 30 - 0.5] for n in range(INPUT)]  # from Wednesday, 1 January
        torch.testing.assert_close(inputs, torch.tensor(expected))


@pytest.mark.parametrize("missing", ["", "NA", "#N/A"])
def test_what_is_missing_far_from_the_window_does_not_matter_to_a_forecast(tmp_path: Path, missing: str) -> None:
    for impute in ("forward", None):
        data = own(tmp_path / "my.csv", table(days()), impute=impute)
        expected = forecast(data, tmp_path / "my.csv")
        lines = table(days()).split("\n")
        lines[1] = f"2020-01-01,{missing},{missing}"
        (tmp_path / "new.csv").write_text("\n".join(lines))
        batch = forecast(data, tmp_path / "new.csv")
        assert torch.equal(batch.inputs, expected.inputs)


def test_what_is_filled_in_is_counted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = table(days()).split("\n")
    lines[9] = lines[9].rpartition(",")[0] + ","
    del lines[17], lines[5]
    with caplog.at_level(logging.INFO, "seqmodels"):
        data = own(tmp_path / "my.csv", "\n".join(lines), gaps="fill", impute="seasonal")
    assert "2 missing rows inserted, 1 missing value filled in: 2020-01-05; my.csv, line 9, column b" in (
        caplog.text.replace(f"{tmp_path}/", "")
    )
    assert np.prod(data.split("train").__getitems__([0]).inputs.shape) == INPUT * 2
