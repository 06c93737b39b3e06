"""Windows of series: in which part they lie, what they are scaled by, what a new file becomes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import CSVSeriesData, DataModule, ETTData
from seqmodels.data.catalog import DATASETS
from seqmodels.data.formats.records import Record
from seqmodels.data.series.scaling import fit_scaling, seasonal_error
from seqmodels.data.series.source import SeriesSource
from seqmodels.data.splitting import split_by_time
from tests.conftest import TOLERANCE
from tests.datasets import ready

SPLITS = ("train", "val", "test")
STEPS, INPUT, HORIZON = 50, 7, 3  # parts of 35, 5 and 10 steps


def written(folder: Path, values: np.ndarray, *, first: str = "2020-01-01") -> Path:
    days = np.datetime64(first, "D") + np.arange(len(values))
    header = ",".join(["day", *(f"s{number}" for number in range(values.shape[1]))])
    lines = [f"{day}," + ",".join(repr(float(v)) for v in row) for day, row in zip(days, values, strict=True)]
    path = folder / "my.csv"
    path.write_text("\n".join([header, *lines]))
    return path


def values_of(steps: int = STEPS) -> np.ndarray:
    step = np.arange(steps)
    return np.stack([100 + step, 5 * np.sin(step) - 3], 1)


def own(folder: Path, values: np.ndarray | None = None, **options: Any) -> DataModule:
    path = written(folder, values_of() if values is None else values)
    return ready(CSVSeriesData, path=path, **{"time": "day", "input_length": INPUT, "horizon": HORIZON, **options})


def raw(data: DataModule, scaled: torch.Tensor) -> torch.Tensor:
    groups = data.split("train").groups
    return scaled.double() * groups.deviation[0] + groups.mean[0]


def test_targets_are_observed_where_the_file_has_them(tmp_path: Path) -> None:
    path = written(tmp_path, values_of())
    header, *lines = path.read_text().splitlines()
    lines[43] = lines[43].rpartition(",")[0] + ","
    path.write_text("\n".join([header, *lines[:46], *lines[47:]]))
    options = {"path": path, "time": "day", "gaps": "fill", "impute": "linear", "split": [35, 5, 10]}
    data = ready(CSVSeriesData, input_length=INPUT, horizon=HORIZON, **options)
    preprocessing = build(data.preprocessing)
    new = preprocessing.labelled(preprocessing.read(str(path)), [])
    expected = torch.ones(STEPS, 2, dtype=torch.bool)
    expected[43, 1] = expected[46] = False
    for split, first in ((data.split("train"), INPUT), (data.split("test"), 40), (new, INPUT)):
        found = split.__getitems__(list(range(len(split)))).observed
        windows = [expected[first + n : first + n + HORIZON] for n in range(len(split))]
        assert found.tolist() == torch.stack(windows).tolist()


@pytest.mark.parametrize("reach_back", [True, False])
def test_every_window_lies_in_its_part_and_is_there_once(tmp_path: Path, reach_back: bool) -> None:
    data = own(tmp_path, reach_back=reach_back, split=[29, 11, 10] if not reach_back else None)
    ends = (29, 40, 50) if not reach_back else (35, 40, 50)
    for name, first, end in zip(SPLITS, (0, *ends), ends, strict=False):
        batch = data.split(name).__getitems__(list(range(len(data.split(name)))))
        steps = (raw(data, batch.targets)[..., 0] - 100).round()  # the first series counts the steps
        reach = first if name == "train" or not reach_back else first - INPUT
        starts = range(reach, end - INPUT - HORIZON + 1)
        assert steps.tolist() == [[start + INPUT + h for h in range(HORIZON)] for start in starts]
        read = (raw(data, batch.inputs)[..., 0] - 100).round()
        assert read.tolist() == [[start + t for t in range(INPUT)] for start in starts]


def test_values_of_validation_and_test_change_no_statistic(tmp_path: Path) -> None:
    changed = values_of()
    changed[35:] = 1e6
    before, after = own(tmp_path), own(tmp_path, changed)
    assert before.sizes == after.sizes
    assert before.preprocessing == after.preprocessing
    first, second = (data.split("train").__getitems__([0, 25]) for data in (before, after))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_training_part_has_mean_0_and_deviation_1(tmp_path: Path) -> None:
    data = own(tmp_path)
    train = data.split("train").groups.values[:35].double()
    torch.testing.assert_close(train.mean(0), torch.zeros(2).double(), **TOLERANCE[torch.float32])
    torch.testing.assert_close(train.std(0, correction=0), torch.ones(2).double(), **TOLERANCE[torch.float32])


def test_scaling_inverts_exactly() -> None:
    values = torch.randn(37, 3, dtype=torch.float64) * torch.tensor([1e-4, 1.0, 1e5]) + 3
    scaling = fit_scaling(values)
    back = scaling.apply(values) * scaling.deviation + scaling.mean
    torch.testing.assert_close(back, values, **TOLERANCE[torch.float64])
    assert torch.equal(fit_scaling(values, standardize=False).apply(values), values)


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_scaling_does_not_depend_on_the_unit(unit: float) -> None:
    values = torch.tensor([[1.0], [4.0], [3.0], [9.5]], dtype=torch.float64)
    expected = (values - values.mean(0)) / values.std(0, correction=0)
    torch.testing.assert_close(fit_scaling(values * unit).apply(values * unit), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("values", [[14.62] * 77, [0.1 + 0.2, 0.3, 0.3], [0.0] * 5], ids=["constant", "rounding", "0"])
def test_what_changes_by_rounding_only_is_divided_by_1(values: list[float]) -> None:
    assert fit_scaling(torch.tensor(values, dtype=torch.float64)[:, None]).deviation.tolist() == [1]


def test_a_series_that_never_changes_is_scaled_by_1_and_told(tmp_path: Path) -> None:
    values = values_of()
    values[:, 1] = 0.1
    with pytest.warns(UserWarning, match="column s1: never changes in the training part"):
        data = own(tmp_path, values)
    groups = data.split("test").groups
    assert groups.deviation[0, 1] == groups.seasonal_error[0, 1] == 1
    torch.testing.assert_close(groups.values[:, 1], torch.zeros(STEPS), **TOLERANCE[torch.float32])


def test_the_unit_of_mase_is_the_error_of_repeating_a_season() -> None:
    values = torch.tensor([[1.0], [4.0], [3.0], [9.0], [6.0]])
    assert seasonal_error(values, 2).tolist() == pytest.approx([(2 + 5 + 3) / 3])
    wave = torch.sin(torch.arange(35, dtype=torch.float64)[:, None] * torch.pi * 2 / 7)
    assert seasonal_error(wave, 7).tolist() == [1], "what comes again but for rounding has no error to compare with"


@pytest.mark.parametrize(
    ("steps", "shares", "ends"),
    [
        (7588, (0.7, 0.1, 0.2), (5311, 6071, 7588)),  # int(0.7 n), the rest, int(0.2 n), as Autoformer counts
        (7588, (0.6, 0.2, 0.2), (4552, 6071, 7588)),
        (17420, (8640, 2880, 2880), (8640, 11520, 14400)),
        (100, (0.5, 0.2, 0.1), (50, 70, 80)),
        (33, (0.9, 0.1, 0), (29, 33, 33)),
        (33, (20, 11, 0), (20, 31, 31)),
    ],
)
def test_parts_are_counted_as_papers_count_them(steps: int, shares: Any, ends: tuple[int, int, int]) -> None:
    assert split_by_time(steps, shares) == ends


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.7, 0.2, 0.2), (0.7, 0.0, 0.3), (0.7, 10, 10), (90, 10, -5)])
def test_what_is_no_split_is_refused(shares: Any) -> None:
    with pytest.raises(ValueError, match="split"):
        split_by_time(100, shares)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"input_length": 0}, "input_length must be at least 1"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"season": 0}, "season must be at least 1"),
        ({"season": 35}, "the train part has 35 steps, a season has 35"),
        ({"calendar": ["weekdays"]}, "calendar must name some of .*did you mean 'weekday'"),
        ({"calendar": ["hour"], "time": None}, "need a time column: data.time="),
        ({"split": [60, 20, 20]}, "asks for 100 steps, there are 50"),
        ({"input_length": 40}, "the train part has 35 steps, .*needs 43"),
        ({"horizon": 6}, "the val part has 5 steps, .*needs 6"),
        ({"reach_back": False}, "the val part has 5 steps, .*needs 10"),
        ({"target": "s2"}, "no column 's2'; did you mean 's1'|no column 's2'"),
        ({"features": ["s7"]}, r"data.features: .*my.csv has no column 's7'"),
        ({"features": ["s0", "s1"]}, "nothing to forecast"),
        ({"target": "s0", "features": ["s0"]}, "data.features: the column 's0' cannot also be in data.target"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_training(tmp_path: Path, options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        own(tmp_path, **options)


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    values = values_of()
    values[45, 1] = 1e300
    with pytest.raises(ValueError, match="column s1: a value is too large"):
        own(tmp_path, values)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        CSVSeriesData(path=tmp_path / "none.csv").prepare()


@pytest.mark.parametrize(
    ("options", "inputs", "outputs"),
    [
        ({}, ["s0", "s1"], 2),
        ({"target": "s1"}, ["s1"], 1),
        ({"target": ["s1", "s0"]}, ["s1", "s0"], 2),
        ({"features": ["s0"]}, ["s1", "s0"], 1),
        ({"target": "s0", "features": ["s1"]}, ["s0", "s1"], 1),
    ],
)
def test_targets_come_first_and_features_are_only_read(
    tmp_path: Path, options: Any, inputs: list[str], outputs: int
) -> None:
    data = own(tmp_path, calendar=["weekday", "month"], **options)
    batch = data.split("val").__getitems__([0, 2])
    assert data.preprocessing["columns"] == inputs
    assert data.sizes["names"] == inputs[:outputs]
    assert batch.inputs.shape == (2, INPUT, len(inputs) + 2)
    assert batch.known.shape == (2, HORIZON, 2)
    assert batch.targets.shape == (2, HORIZON, outputs)
    assert data.sizes["season"] == 7


def test_the_seasonal_naive_forecast_repeats_the_true_season_even_beyond_the_window(tmp_path: Path) -> None:
    data = own(tmp_path, season=9, target="s0")  # the window has 7 steps
    batch = data.split("test").__getitems__([0, 3])
    naive = (raw(data, batch.naive)[..., 0] - 100).round()
    assert naive.tolist() == [[origin - 9 + h for h in range(HORIZON)] for origin in (40, 43)]
    first = (raw(data, data.split("train").__getitems__([0]).naive)[..., 0] - 100).round()
    assert first.tolist() == [[INPUT - 1] * HORIZON], "less than a season of history: the last value"


def test_a_season_longer_than_the_horizon_is_not_needed(tmp_path: Path) -> None:
    batch = own(tmp_path, season=2, target="s0").split("test").__getitems__([0])
    assert (batch.naive[0] != batch.targets[0]).all()
    assert torch.equal(batch.naive[0, 0], batch.naive[0, 2])


def test_a_split_takes_no_memory_beyond_the_series(tmp_path: Path) -> None:
    data = own(tmp_path)
    assert data.split("train").groups.values.shape == (STEPS, 2)
    assert data.split("train").groups is data.split("test").groups


def records(path: Path) -> Iterator[Record]:
    header, *lines = path.read_text().splitlines()
    for number, line in enumerate(lines, start=2):
        yield Record(f"new.csv, line {number}", dict(zip(header.split(","), line.split(","), strict=True)))


def test_new_rows_become_the_window_that_training_would_have_cut(tmp_path: Path) -> None:
    data = own(tmp_path, target="s1", features=["s0"], calendar=["weekday"])
    preprocessing = build(data.preprocessing)
    path = written(tmp_path, values_of()[: STEPS - HORIZON])
    (example,) = preprocessing.examples(records(path))
    batch = preprocessing.collate([example.value])
    last = data.split("test").__getitems__([len(data.split("test")) - 1])
    assert torch.equal(batch.inputs, last.inputs)
    assert torch.equal(batch.known, last.known)
    assert torch.equal(batch.times, last.times)


def test_a_line_of_json_is_a_window_by_itself(tmp_path: Path) -> None:
    data = own(tmp_path)
    preprocessing = build(data.preprocessing)
    values = values_of()[:INPUT]
    days = [str(np.datetime64("2020-01-01") + number) for number in range(INPUT)]
    fields = {"day": days, "s0": values[:, 0].tolist(), "s1": values[:, 1].tolist()}
    encoded = preprocessing.encode(fields)
    assert torch.equal(encoded, data.split("train").__getitems__([0]).inputs[0])
    assert len(list(preprocessing.examples([Record("1", fields), Record("2", fields)]))) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"s1": None}, "the record: the field 's1' must be a list"),
        ({"s1": [1, 2]}, "columns must have as many values"),
        ({"s0": [1.0] * 6 + ["x"]}, "step 7, column s0: must be a finite number"),
        ({"s0": [1.0] * 3, "s1": [1.0] * 3, "day": ["2020-01-01", "2020-01-02", "2020-01-03"]}, "the series has 3"),
    ],
)
def test_a_record_that_is_no_window_is_refused(tmp_path: Path, change: Any, reason: str) -> None:
    days = [str(np.datetime64("2020-01-01") + number) for number in range(INPUT)]
    fields = {"day": days, "s0": [1.0] * INPUT, "s1": [2.0] * INPUT, **change}
    with pytest.raises(ValueError, match=reason):
        build(own(tmp_path).preprocessing).encode(fields)


PUBLISHED = {data.name: data for data in DATASETS if issubclass(data, SeriesSource)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_series_are_read_from_their_files(name: str, data_dir: Path) -> None:
    target = "AAPL.Close" if name == "stocks" else None
    data = ready(PUBLISHED[name], data_dir=data_dir, input_length=12, horizon=2, target=target)
    assert all(len(data.split(split)) > 0 for split in SPLITS)
    assert build(data.preprocessing).horizon == 2


def test_ett_has_the_windows_that_papers_count(data_dir: Path) -> None:
    data = ready(ETTData, data_dir=data_dir, input_length=720, horizon=96)
    assert [len(data.split(name)) for name in SPLITS] == [7825, 2785, 2785]
    assert (data.sizes["output_size"], data.sizes["season"]) == (7, 24)


def test_a_weekly_season_of_a_year_is_that_of_the_baseline(tmp_path: Path) -> None:
    weeks = np.datetime64("2010-01-04") + 7 * np.arange(180)
    values = [math.sin(2 * math.pi * week / 52) + week / 1000 for week in range(180)]
    path = tmp_path / "weekly.csv"
    path.write_text("week,co2\n" + "\n".join(f"{week},{value!r}" for week, value in zip(weeks, values, strict=True)))
    data = ready(CSVSeriesData, path=path, time="week", input_length=INPUT, horizon=HORIZON)
    assert data.sizes["season"] == 52
    test = data.split("test")
    batch = test.__getitems__(list(range(len(test))))
    error = (raw(data, batch.targets) - raw(data, batch.naive)).abs()
    torch.testing.assert_close(error, torch.full_like(error, 0.052), rtol=0, atol=1e-5)
    assert batch.seasonal_error[0].item() == pytest.approx(0.052)
