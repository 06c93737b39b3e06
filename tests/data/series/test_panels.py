"""Many series in one table: groups, columns known ahead, categories, wide layouts, and what a new file becomes."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import CSVSeriesData, DataModule, ForecastBatch, ForecastPreprocessing
from seqmodels.data.formats.records import Record
from tests.datasets import ready

INPUT, HORIZON = 5, 2
DAY = np.datetime64("2021-03-01")
SHOPS = {"north": (0, 40), "south": (6, 40), "east": (0, 31)}  # first and last day of each shop
SCALE = {"north": 1.0, "south": 1000.0, "east": 0.01}
REGION = {"north": "hill", "south": "coast", "east": "hill"}


def sales(shop: str, day: int) -> float:
    return SCALE[shop] * (50 + day + 5 * math.sin(day))


def weather(day: int) -> str:
    return ("sun", "rain", "fog")[day % 3]


def rows(shops: Sequence[str] = tuple(SHOPS), last: int | None = None, ahead: int = 0) -> Iterator[dict[str, str]]:
    """Yield the rows of shops up to a day, and rows without sales for the days ahead."""
    for shop in shops:
        first, end = SHOPS[shop]
        end = end if last is None else last
        for day in range(first, end + ahead):
            yield {
                "day": str(DAY + day),
                "shop": shop,
                "region": REGION[shop],
                "sales": repr(sales(shop, day)) if day < end else "",
                "promo": str(day % 4 // 3),
                "weather": weather(day),
            }


def write(path: Path, table: Sequence[dict[str, str]]) -> Path:
    path.write_text("\n".join([",".join(table[0]), *(",".join(row.values()) for row in table)]) + "\n")
    return path


def records(path: Path) -> Iterator[Record]:
    header, *lines = path.read_text().splitlines()
    for number, line in enumerate(lines, start=2):
        yield Record(f"{path.name}, line {number}", dict(zip(header.split(","), line.split(","), strict=True)))


def panel(folder: Path, table: Sequence[dict[str, str]] | None = None, **options: Any) -> DataModule:
    path = write(folder / "shops.csv", list(rows()) if table is None else table)
    steps = {"input_length": INPUT, "horizon": HORIZON}
    return ready(CSVSeriesData, path=path, **{"time": "day", "target": "sales", "group": "shop", **steps, **options})


def whole(data: DataModule, name: str) -> ForecastBatch:
    split = data.split(name)
    batch: ForecastBatch = split.__getitems__(list(range(len(split))))
    return batch


def preprocessing(data: DataModule) -> ForecastPreprocessing:
    built: ForecastPreprocessing = build(data.preprocessing)
    return built


def days_of(batch: ForecastBatch) -> np.ndarray:
    return (batch.times.numpy().astype("datetime64[us]").astype("datetime64[D]") - DAY).astype(int)


def test_every_window_lies_in_one_group_and_is_scaled_by_it(tmp_path: Path) -> None:
    data = panel(tmp_path)
    keys = data.sizes["keys"]
    assert keys == [["north"], ["south"], ["east"]]
    for name in ("train", "val", "test"):
        batch = whole(data, name)
        days = days_of(batch)
        back = batch.targets.double() * batch.deviation[:, None] + batch.mean[:, None]
        read = batch.inputs[..., :1].double() * batch.deviation[:, None] + batch.mean[:, None]
        for row, series in enumerate(batch.series.tolist()):
            shop = keys[series][0]
            assert back[row, :, 0].tolist() == pytest.approx([sales(shop, day) for day in days[row]], rel=1e-5)
            before = range(days[row][0] - INPUT, days[row][0])
            assert read[row, :, 0].tolist() == pytest.approx([sales(shop, day) for day in before], rel=1e-5)
    train = data.split("train").groups
    for number, (shop, first) in enumerate((("north", 0), ("south", 6), ("east", 0))):
        values = np.array([sales(shop, day) for day in range(first, 28)])  # 0.7 of 40 days
        assert train.mean[number].item() == pytest.approx(values.mean())
        assert train.deviation[number].item() == pytest.approx(values.std())


def test_no_group_is_tested_before_another_is_trained(tmp_path: Path) -> None:
    data = panel(tmp_path)
    ends = {name: (days_of(whole(data, name)).min(), days_of(whole(data, name)).max()) for name in ("train", "test")}
    assert ends["train"][1] == 27
    assert ends["test"][0] == 32
    counts = {name: whole(data, name).series.bincount(minlength=3).tolist() for name in ("train", "val", "test")}
    assert counts == {"train": [22, 16, 22], "val": [3, 3, 2], "test": [7, 7, 0]}, "one shop has closed"


def test_series_without_times_are_split_by_their_own_steps(tmp_path: Path) -> None:
    data = panel(tmp_path, time=None, features=["promo"])
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [22 + 17 + 15, 3 + 4 + 3, 7 + 5 + 5]


@pytest.mark.parametrize(("names", "expected"), [(("shop",), "data.group=shop"), (("shop", "kind"), "data.group=")])
def test_time_that_restarts_names_the_column_that_tells_series_apart(
    tmp_path: Path, names: tuple[str, ...], expected: str
) -> None:
    table = [
        {"day": str(DAY + day), **dict(zip(("shop", "kind"), key, strict=False)), "y": str(day * 7 % 11)}
        for key in (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"))[:: 3 - len(names)]
        for day in range(9)
    ]
    table.sort(key=lambda row: row["day"])
    path = write(tmp_path / "my.csv", [{name: row[name] for name in ("day", *names, "y")} for row in table])
    wanted = rf"line 3, column day: time restarts.*{expected}" + ("" if len(names) == 1 else r"\[shop,kind\]")
    with pytest.raises(ValueError, match=wanted):
        ready(CSVSeriesData, path=path, time="day", input_length=2, horizon=1)
    if len(names) > 1:
        with pytest.raises(ValueError, match=r"'kind' seems to be the column that .*data.group=\[shop,kind\]"):
            ready(CSVSeriesData, path=path, time="day", group="shop", input_length=2, horizon=1)


def test_words_become_the_categories_of_the_training_part_alone(tmp_path: Path) -> None:
    table = list(rows())
    for row in table:
        if row["day"] > "2021-03-30":
            row["weather"] = "hail"  # only in validation and test
    data = panel(tmp_path, table, features="weather", static="region")
    assert data.preprocessing["columns"] == ["sales", "weather=fog", "weather=rain", "weather=sun"]
    assert data.preprocessing["categories"] == {"weather": ["fog", "rain", "sun"], "region": ["coast", "hill"]}
    assert (data.sizes["input_size"], data.sizes["static_size"]) == (4, 2)
    kinds = whole(data, "train").inputs[..., 1:]
    assert (kinds.gt(0).sum(-1) == 1).all(), "one category each"
    constant = data.split("test").groups.values[39, 1:]  # the last day of north
    assert torch.equal(constant, data.split("test").groups.values[33, 1:]), "unknown: none of them"
    north, south, east = data.split("train").groups.static
    assert torch.equal(north, east)
    assert not torch.equal(north, south)


def test_columns_known_ahead_are_read_from_the_rows_ahead(tmp_path: Path) -> None:
    data = panel(tmp_path, future=["promo", "weather"], calendar=["weekday"])
    assert (data.sizes["known_size"], data.sizes["input_size"]) == (1 + 3 + 1, 1 + 5)
    batch = whole(data, "val")
    promo = (batch.known[..., 0] > 0).numpy()
    assert (promo == (days_of(batch) % 4 == 3)).all()
    new = write(tmp_path / "new.csv", list(rows(["north", "south"], last=33, ahead=HORIZON + 1)))
    values = [example.value for example in preprocessing(data).examples(records(new))]
    found = preprocessing(data).collate([value for value in values if value is not None])
    test = whole(data, "test")
    for row, series in ((0, 0), (1, 1)):
        (same,) = [n for n in range(len(test.series)) if test.series[n] == series and days_of(test)[n][0] == 33]
        for name in ("inputs", "known", "times", "series", "mean", "deviation"):
            assert torch.equal(getattr(found, name)[row], getattr(test, name)[same]), name


def test_rows_ahead_that_are_missing_are_counted(tmp_path: Path) -> None:
    data = panel(tmp_path, future="promo")
    new = write(tmp_path / "new.csv", list(rows(["north", "south"], last=33, ahead=1)))
    with pytest.raises(ValueError, match=r"line 35: promo must be given for the 2 steps to forecast, .* 1 of "):
        list(preprocessing(data).examples(records(new)))
    table = [*rows(["north"], last=33, ahead=1), *rows(["south"], last=33, ahead=2)]
    first, second = preprocessing(data).examples(records(write(new, table)))
    assert first.value is None
    assert second.value is not None
    assert "promo must be given for the 2 steps to forecast, in rows without sales: 1 of these rows" in first.error
    assert first.fields == {"shop": "north"}
    assert first.place == "new.csv, line 2"


def test_the_training_file_can_be_evaluated_and_forecast(tmp_path: Path) -> None:
    table = list(rows(ahead=HORIZON))
    data = panel(tmp_path, table, future="promo", static="region", features="weather")
    made = preprocessing(data)
    examples = list(made.examples(records(tmp_path / "shops.csv")))
    assert [example.fields["shop"] for example in examples] == ["north", "south", "east"]
    assert [days_of(example.value)[0] for example in examples if example.value] == [40, 40, 31]
    every = made.labelled(records(tmp_path / "shops.csv"), [])
    again = every.__getitems__(list(range(len(every))))
    parts = [whole(data, name) for name in ("train", "val", "test")]
    known = {(int(s), int(d[0])): n for n, (s, d) in enumerate(zip(again.series, days_of(again), strict=True))}
    for part in parts:
        index = [known[int(s), int(d[0])] for s, d in zip(part.series, days_of(part), strict=True)]
        for name, values in part._asdict().items():
            assert torch.equal(values, getattr(again, name)[index]), name


def test_a_group_that_training_did_not_see_is_scaled_by_its_own_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = panel(tmp_path, list(rows(["north", "south"])))
    new = write(tmp_path / "new.csv", list(rows(["east"])))
    with caplog.at_level(logging.INFO):
        (example,) = preprocessing(data).examples(records(new))
    assert "scaled by their own rows, as they are not in the training data: east" in caplog.text
    assert example.value is not None
    assert example.value.series == -1
    values = np.array([sales("east", day) for day in range(31)])
    assert example.value.mean.item() == pytest.approx(values.mean())
    assert example.value.deviation.item() == pytest.approx(values.std())


def test_a_line_of_json_may_name_its_group_once(tmp_path: Path) -> None:
    data = panel(tmp_path, future="promo")
    days = [str(DAY + day) for day in range(HORIZON + INPUT)]
    fields = {"day": days, "shop": "south", "sales": [3.0] * INPUT, "promo": [0, 1] * 3 + [0]}
    good, bad = preprocessing(data).examples([Record("1", fields), Record("2", {**fields, "promo": [0]})])
    assert good.value is not None
    assert (good.value.series, good.fields) == (1, {"shop": "south"})
    assert bad.value is None
    assert "2: columns must have as many values" in bad.error


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"group": "shpo"}, "data.group: .*no column 'shpo'; did you mean 'shop'"),
        ({"static": "weather"}, "line 3, column weather: changes from 'sun' to 'rain', but a column of data.static"),
        ({"static": "region", "group": []}, "data.static needs data.group"),
        ({"future": "promo", "features": "promo"}, "data.future: the column 'promo' cannot also be in data.features"),
        ({"target": "day"}, "data.target: the column 'day' cannot also be the time"),
        ({"group": ["shop", "sales"]}, "data.group: the column 'sales' cannot also be in data.target"),
    ],
)
def test_columns_with_wrong_roles_are_refused(tmp_path: Path, options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        panel(tmp_path, **options)


def test_rolling_origins_are_a_horizon_apart_and_end_with_the_data(tmp_path: Path) -> None:
    made = preprocessing(panel(tmp_path))
    every = made.labelled(records(tmp_path / "shops.csv"), [])
    batch = every.rolling(3).__getitems__(list(range(9)))
    assert len(every.rolling(3)) == 9
    assert days_of(batch)[:, 0].tolist() == [34, 36, 38, 34, 36, 38, 25, 27, 29]
    assert batch.series.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(every.rolling(100)) == 17 + 14 + 13, "as many as there are"


def test_columns_of_years_are_in_the_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "years.csv"
    months = ["Dec", "Nov", "Oct", "Sep", "Aug", "Jul", "Jun", "May", "Apr", "Mar", "Feb", "Jan"]
    path.write_text("\n".join([",".join(["year", *months]), *(f"{2000 + n}," + ",".join("1" * 12) for n in range(5))]))
    with pytest.raises(ValueError, match="layout=years reads columns in the order of time, got Dec, Nov"):
        ready(CSVSeriesData, path=path, time="year", layout="years", input_length=INPUT, horizon=HORIZON)


def test_numbers_with_another_decimal_separator_are_no_words(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("y;x\n" + "".join(f"{n},5;{n}.5\n" for n in range(30)))
    with pytest.raises(
        ValueError, match=r"column x: its numbers have '\.' as decimal separator, but data.decimal is ','"
    ):
        ready(CSVSeriesData, path=path, target="y", features=["x"], decimal=",", input_length=INPUT, horizon=HORIZON)


def test_columns_of_a_wide_table_are_series_of_one_model(tmp_path: Path) -> None:
    cells = [["" if day < SHOPS[shop][0] else repr(sales(shop, day)) for shop in SHOPS] for day in range(31)]
    lines = [f"{DAY + day},{day % 4 // 3},{','.join(row)}" for day, row in enumerate(cells)]
    path = tmp_path / "wide.csv"
    path.write_text(f"day,promo,{','.join(SHOPS)}\n" + "\n".join(lines) + "\n")
    options = {"layout": "columns", "time": "day", "future": "promo", "input_length": INPUT, "horizon": HORIZON}
    data = ready(CSVSeriesData, path=path, **options)
    assert data.sizes["keys"] == [[shop] for shop in SHOPS]
    assert (data.sizes["group"], data.sizes["names"]) == (["column"], ["value"])
    assert len(data.split("train")) == (21 - 6) + (21 - 6 - 6) + (21 - 6)
    path.write_text(path.read_text() + "".join(f"{DAY + day},1,,,\n" for day in (31, 32)))
    examples = list(preprocessing(data).examples(records(path)))
    assert [example.fields["column"] for example in examples] == list(SHOPS)
    assert [days_of(example.value).tolist() for example in examples if example.value] == [[31, 32]] * 3


def test_a_row_per_year_is_a_series_of_months(tmp_path: Path) -> None:
    path = tmp_path / "years.csv"
    months = [f"m{month}" for month in range(1, 13)]
    cells = [str(month % 7) if 2 <= month <= 92 else "" for month in range(96)]
    lines = [f"{1950 + year},{','.join(cells[12 * year : 12 * year + 12])}" for year in range(8)]
    path.write_text(f"year,{','.join(months)}\n" + "\n".join(lines) + "\n")
    data = ready(CSVSeriesData, path=path, layout="years", time="year", input_length=12, horizon=3)
    assert (data.sizes["season"], data.sizes["names"]) == (12, ["value"])
    assert data.split("train").groups.values.shape == (91, 1)
    (example,) = preprocessing(data).examples(records(path))
    assert example.value is not None
    assert example.value.times.numpy().astype("datetime64[us]").astype("datetime64[M]").astype(str).tolist() == [
        "1957-10", "1957-11", "1957-12"
    ]  # fmt: skip
    path.write_text("year,a,b,c\n" + "1950,1,2,3\n1951,1,2,3\n")
    with pytest.raises(ValueError, match=r"layout=years needs 12 or 4 columns .*got 3 \(a, b, c\): data.target lists"):
        ready(CSVSeriesData, path=path, layout="years", time="year", input_length=12, horizon=3)


def test_a_run_says_what_it_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = [row for row in rows() if row["day"] != "2021-03-05"]
    table[2]["sales"] = "NA"
    options = {"gaps": "fill", "impute": "forward", "future": "promo", "static": "region", "calendar": ["month"]}
    with caplog.at_level(logging.INFO):
        panel(tmp_path, table, **options)
    lines = [record.getMessage().removeprefix(f"{tmp_path}/shops.csv: ") for record in caplog.records]
    assert lines[-4].startswith("3 series by shop, each of 31 to 40 steps, 1 day apart; 2 missing rows inserted, 1 mis")
    assert lines[-3] == "forecasts sales; known ahead promo, month; static region (coast, hill)"
    assert lines[-2] == (
        "splits: train 78 steps from 2021-03-01 to 2021-03-28 (60 windows); val 11 steps from 2021-03-29 to 2021-04-01 "
        "(8 windows); test 16 steps from 2021-04-02 to 2021-04-09 (14 windows, 1 series without one)"
    )
    assert lines[-1] == "season: 7 steps"


def test_without_a_test_share_there_is_no_test_split(tmp_path: Path) -> None:
    data = panel(tmp_path, split=[0.8, 0.2, 0])
    assert not data.has_test
    assert days_of(whole(data, "val")).max() == 39


def single(folder: Path, days: Iterable[Any], values: Iterable[Any], **options: Any) -> ForecastPreprocessing:
    path = folder / "single.csv"
    path.write_text("day,y\n" + "".join(f"{day},{value}\n" for day, value in zip(days, values, strict=True)))
    steps = {"input_length": INPUT, "horizon": 3, "season": 2}
    return preprocessing(ready(CSVSeriesData, path=path, time="day", target="y", **steps, **options))


def future_of(made: ForecastPreprocessing, days: Iterable[Any], values: Iterable[Any]) -> list[str]:
    """Return the days that are forecast after a few rows."""
    rows = [{"day": str(day), "y": str(value)} for day, value in zip(days, values, strict=True)]
    (example,) = made.examples(Record(f"new.csv, line {number}", row) for number, row in enumerate(rows, start=2))
    assert example.value is not None
    return example.value.times.numpy().astype("datetime64[us]").astype("datetime64[D]").astype(str).tolist()


def test_a_few_rows_continue_at_the_frequency_of_the_training_data(tmp_path: Path) -> None:
    every = np.datetime64("2020-01-06") + np.arange(300)
    weekdays = every[np.is_busday(every)]
    made = single(tmp_path, weekdays, np.arange(len(weekdays)) % 7)
    assert future_of(made, weekdays[:5], range(5)) == ["2020-01-13", "2020-01-14", "2020-01-15"], "asked on a Friday"
    assert future_of(made, weekdays[3:8], range(5)) == ["2020-01-16", "2020-01-17", "2020-01-20"], "through a weekend"
    with pytest.raises(ValueError, match="1 week apart, but the model is for rows 1 working day apart"):
        future_of(made, every[4:60:7], range(8))


def test_values_that_a_forecast_does_not_read_may_be_missing(tmp_path: Path) -> None:
    days = np.datetime64("2020-01-06") + np.arange(40)
    strict = single(tmp_path, days, np.arange(40) % 7)
    values: list[Any] = list(range(9))
    assert future_of(strict, days[:9], ["NA", *values[1:]])[0] == "2020-01-15"
    with pytest.raises(ValueError, match=r"new\.csv, line 6, column y: a value is missing"):
        future_of(strict, days[:9], [*values[:4], "NA", *values[5:]])
    filling = single(tmp_path, days, np.arange(40) % 7, impute="forward")
    assert future_of(filling, days[:9], [*values[:4], "NA", *values[5:]])[0] == "2020-01-15"


def test_large_values_that_change_little_keep_their_units(tmp_path: Path) -> None:
    days = np.datetime64("2020-01-06") + np.arange(60)
    values = 1.6e9 + 0.5 * np.arange(60)
    path = tmp_path / "meter.csv"
    lines = [f"{day},{value!r}" for day, value in zip(days, values.tolist(), strict=True)]
    path.write_text("\n".join(["day,y", *lines]))
    data = ready(CSVSeriesData, path=path, time="day", input_length=INPUT, horizon=3)
    batch = whole(data, "test")
    back = batch.targets.double() * batch.deviation[:, None] + batch.mean[:, None]
    expected = torch.tensor(
        [[1.6e9 + 0.5 * (48 + row + h) for h in range(3)] for row in range(10)], dtype=torch.float64
    )
    assert batch.mean.dtype == torch.float64
    torch.testing.assert_close(back[..., 0], expected, rtol=0, atol=1e-4)


def test_rows_after_the_last_value_are_no_history(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seqmodels")
    path = tmp_path / "my.csv"
    known = "day,y\n" + "".join(f"{DAY + day},{day % 5}\n" for day in range(40))
    path.write_text(known + "".join(f"{DAY + day},\n" for day in range(40, 43)))
    options: dict[str, Any] = {"time": "day", "input_length": INPUT, "horizon": HORIZON, "impute": "forward"}
    data = ready(CSVSeriesData, path=path, **options)
    assert len(data.split("train").groups.values) == 40
    assert "my.csv, line 42: the last 3 rows have no y, and are left out" in caplog.text
    preprocessing: ForecastPreprocessing = build(data.preprocessing)
    (example,) = preprocessing.examples(records(path))
    assert example.value is not None
    assert example.value.times[0] == (DAY + 40).astype("datetime64[us]").astype(np.int64)


@pytest.mark.parametrize("groups", [[], ["shop"]])
def test_an_hour_that_local_clocks_show_twice_is_two_steps_of_every_group(groups: list[str], tmp_path: Path) -> None:
    local = [*(f"2020-10-24T{hour:02}:00" for hour in range(24)), "2020-10-25T00:00", "2020-10-25T01:00"]
    local += ["2020-10-25T02:00", "2020-10-25T02:00", *(f"2020-10-25T{hour:02}:00" for hour in range(3, 24))]
    path = tmp_path / "my.csv"
    lines = [f"{time},{shop},{n % 3}" for shop in ("a", "b")[: 1 + len(groups)] for n, time in enumerate(local)]
    path.write_text("time,shop,y\n" + "\n".join(lines) + "\n")
    options: dict[str, Any] = {"time": "time", "target": "y", "group": groups, "timezone": "Europe/Berlin"}
    data = ready(CSVSeriesData, path=path, **options, input_length=INPUT, horizon=HORIZON)
    assert data.split("train").groups.values.shape == (49 * (1 + len(groups)), 1)


def test_dates_in_a_zone_whose_clocks_go_forward_at_midnight_are_days(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    first = np.datetime64("2018-10-20")  # 2018-11-04 has no midnight in Sao Paulo
    path.write_text("day,y\n" + "".join(f"{first + n},{n % 5}\n" for n in range(30)))
    zone = {"time": "day", "timezone": "America/Sao_Paulo"}
    data = ready(CSVSeriesData, path=path, **zone, input_length=INPUT, horizon=HORIZON)
    assert data.split("train").groups.values.shape == (30, 1)
