"""The archives of UCR and UEA: their splits, what is fitted on them, own files beside them."""

import json
from pathlib import Path

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import DataModule, JapaneseVowelsData, UCRUEAData
from seqmodels.data.labelled.series_preprocessing import SeriesPreprocessing
from seqmodels.data.preprocessing import Preprocessing
from tests.conftest import TOLERANCE
from tests.datasets import data_of

SPLITS = ("train", "val", "test")
HEADER = "@problemName Own\n@classLabel true {names}\n@data\n"


def write(folder: Path, *, test: str = "7,7,7:8,8,8:y\n") -> Path:
    """Write an archive ``Own`` of two channels, 5 training cases a class; return the data folder."""
    cases = [f"{row},{row + 1}:{3 * row},5:{'xy'[row % 2]}" for row in range(10)]
    (folder / "ucr-uea" / "Own").mkdir(parents=True)
    for part, text in (("TRAIN", "\n".join(cases)), ("TEST", test)):
        (folder / "ucr-uea" / "Own" / f"Own_{part}.ts").write_text(HEADER.format(names="x y") + text)
    return folder


def own(folder: Path, **options: object) -> DataModule:
    data = data_of(UCRUEAData, data_dir=folder, name="Own", **options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_the_val_split_comes_from_the_training_file_each_class_alike(tmp_path: Path) -> None:
    data = own(write(tmp_path), val_share=0.4)
    assert [data.split(name).targets.bincount().tolist() for name in SPLITS] == [[3, 3], [2, 2], [0, 1]]
    assert data.sizes == {"input_size": 2, "output_size": 2}  # the lengths differ: no time
    assert data.class_names == ("x", "y")
    values = data.split("train").values
    torch.testing.assert_close(values.mean(0), torch.zeros(2), **TOLERANCE[torch.float32])
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(2), **TOLERANCE[torch.float32])


def test_statistics_are_those_of_the_train_split_alone(tmp_path: Path) -> None:
    data = own(write(tmp_path), val_share=0.4)
    changed = own(write(tmp_path / "other", test="-1e6,1e6:3,4:x\n"), val_share=0.4)
    assert data.preprocessing == changed.preprocessing
    assert own(tmp_path, val_share=0.2).preprocessing != data.preprocessing


def test_values_beyond_float32_once_scaled_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row 1 of a split: a value is too large"):
        own(write(tmp_path, test="1,1e300:3,4:x\n"))


def test_a_val_share_of_0_trains_on_the_whole_training_file(tmp_path: Path) -> None:
    data = own(write(tmp_path), val_share=0)
    assert [len(data.split(name)) for name in SPLITS] == [10, 10, 1]
    assert torch.equal(data.split("train").values, data.split("val").values)


def test_series_of_one_length_state_it(tmp_path: Path) -> None:
    assert own(write(tmp_path, test="1,2:3,4:x\n")).sizes == {"input_size": 2, "output_size": 2, "time": 2}


def test_values_stay_as_they_are_where_that_is_asked_for(tmp_path: Path) -> None:
    data = own(write(tmp_path), standardize=False)
    assert data.split("test")[0].inputs.tolist() == [[7, 8], [7, 8], [7, 8]]


def test_the_preprocessing_gives_new_records_what_the_test_split_has(tmp_path: Path) -> None:
    data = own(write(tmp_path))
    node = json.loads(json.dumps(data.preprocessing))
    rebuilt: Preprocessing = build(node)
    for record in ({"series": [[7, 8]] * 3}, {"series": "7,7,7:8,8,8"}, {"text": "7,7,7:8,8,8:y\n"}):
        assert torch.equal(rebuilt.encode(record), data.split("test")[0].inputs)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"values": [1]}, "a record must have a field series or text, got values"),
        ({"series": []}, r"series: must be a list of at least one step, got \[\]"),
        ({"series": 3}, "series: must be a list of at least one step, got 3"),
        ({"series": [[1, 2], [3]]}, r"series, step 2: must have 2 numbers, got \[3\]"),
        ({"series": [[1, 2], [3, "4"]]}, r"series, step 2: must have 2 numbers, got \[3, '4'\]"),
        ({"series": [[1, True]]}, "series, step 1: must have 2 numbers"),
        ({"series": [[1, 2], [3, float("nan")]]}, r"series, step 2: must be finite, got \[3, nan\]"),
        ({"series": [[1, 2], [1e300, 4]]}, "series, step 2: a value is too large"),
        ({"series": [[1, 10**400]]}, "series: a number is too large"),
        ({"series": "1,2"}, "series: must have 2 channels, separated by colons, got 1"),
        ({"text": "1,2:3,?"}, "text, dimension 2: value 2 is missing"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_by_field_and_step(record: dict[str, object], reason: str) -> None:
    fitted = SeriesPreprocessing(mean=[0.0, 1.0], deviation=[1.0, 2.0])
    with pytest.raises(ValueError, match=reason):
        fitted.encode(record)


def test_a_test_file_of_other_dimensions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Own_TEST\.ts: has 3 dimensions, Own_TRAIN\.ts has 2"):
        own(write(tmp_path, test="1,2:3,4:5,6:x\n"))


def test_files_without_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "ucr-uea" / "Own" / "Own_TEST.ts"
    path.write_text("@classLabel false\n@data\n1,2:3,4\n")
    with pytest.raises(ValueError, match=r"Own_TEST\.ts: its cases have no classes"):
        own(tmp_path)


def test_a_class_of_the_test_file_that_training_has_not_is_refused_by_case(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "ucr-uea" / "Own" / "Own_TEST.ts"
    path.write_text(HEADER.format(names="x y z") + "1,2:3,4:x\n1,2:3,4:z\n")
    with pytest.raises(ValueError, match=r"labels that do not occur .*: 'z' \(Own_TEST\.ts, line 5\); there: x, y"):
        own(tmp_path)


def test_files_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "ucr-uea" / "Own" / "Own_TEST.ts"
    path.write_bytes(path.read_bytes() + b"\xff")
    with pytest.raises(ValueError, match=r"Own_TEST.ts, line \d+: byte 0x.. at offset 58 is not utf-8"):
        own(tmp_path)


def test_an_archive_that_is_not_there_is_named_with_the_nearest_that_is(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"Owl lacks Owl_TRAIN.ts .*did you mean 'Own'\? \(archives there: Own"):
        UCRUEAData(data_dir=tmp_path, name="Owl").prepare()


@pytest.mark.parametrize("name", ["../Own", "", "a/b", ".."])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name must be the name of an archive"):
        UCRUEAData(data_dir=tmp_path, name=name)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_val_share_that_is_none_is_refused(share: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"val_share must lie in \[0, 1\)"):
        UCRUEAData(data_dir=tmp_path, val_share=share)


def test_a_published_file_with_other_content_is_refused(tmp_path: Path) -> None:
    for data in (JapaneseVowelsData(data_dir=tmp_path), UCRUEAData(data_dir=tmp_path)):
        for file in data.files:
            (data.set_folder / file.name).parent.mkdir(parents=True, exist_ok=True)
            (data.set_folder / file.name).write_text("@data\n1\n")
        data.prepare()
        with pytest.raises(ValueError, match=r"holds 8 bytes unpacked, the published"):
            data.splits()


def test_sizes_are_not_known_before_the_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"DataModule.setup\(\) must be called"):
        _ = data_of(JapaneseVowelsData, data_dir=tmp_path).sizes


@pytest.mark.parametrize(
    ("name", "rows", "sizes"),
    [
        ("JapaneseVowels", (216, 54, 370), {"input_size": 12, "output_size": 9}),
        ("GunPoint", (40, 10, 150), {"input_size": 1, "output_size": 2, "time": 150}),
        ("ItalyPowerDemand", (53, 14, 1029), {"input_size": 1, "output_size": 2, "time": 24}),
        ("ArrowHead", (29, 7, 175), {"input_size": 1, "output_size": 3, "time": 251}),
    ],
)
def test_published_problems_read_as_counted(
    name: str, rows: tuple[int, int, int], sizes: dict[str, int], data_dir: Path
) -> None:
    kind, options = (JapaneseVowelsData, {}) if name == "JapaneseVowels" else (UCRUEAData, {"name": name})
    data = data_of(kind, data_dir=data_dir, **options)
    data.prepare_data()
    data.setup("fit")
    assert tuple(len(data.split(split)) for split in SPLITS) == rows
    assert data.sizes == sizes
    assert len(data.class_names) == sizes["output_size"]
