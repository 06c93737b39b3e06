"""Your own files in the formats of the archives: classes and target numbers, and the same reading for new files."""

import gzip
from pathlib import Path

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import SeriesPreprocessing, TSFileData, TSFileRegressionData, UCRUEAData
from tests.conftest import TOLERANCE
from tests.datasets import data_of, ready

CLASSES = "# two classes\n@classLabel true x y\n@data\n"
NUMBERS = "@targetLabel true\n@data\n"


def classes(folder: Path, name: str = "own.ts") -> Path:
    """Write 20 series of two channels, 2 or 3 steps."""
    cases = [f"{row},1{',2' * (row % 2)}:{row % 5},4{',0' * (row % 2)}:{'xy'[row % 2]}" for row in range(20)]
    (folder / name).write_text(CLASSES + "\n% between\n".join(cases))
    return folder / name


def numbers(folder: Path, name: str = "own.ts", *, offset: float = 1e9) -> Path:
    """Write 20 series whose target is their first value plus an offset."""
    cases = [f"{row % 7},{row}:{offset + row % 7}" for row in range(20)]
    (folder / name).write_text(NUMBERS + "\n".join(cases))
    return folder / name


def test_splits_are_drawn_from_one_file_each_class_alike(tmp_path: Path) -> None:
    data = ready(TSFileData, path=classes(tmp_path), val_share=0.2, test_share=0.3)
    counts = [data.split(name).targets.bincount().tolist() for name in ("train", "val", "test")]
    assert counts == [[5, 5], [2, 2], [3, 3]]
    assert data.sizes == {"input_size": 2, "output_size": 2}
    assert data.class_names == ("x", "y")


def test_files_for_validation_and_test_are_taken_whole(tmp_path: Path) -> None:
    path, other = classes(tmp_path), classes(tmp_path, "other.ts")
    data = ready(TSFileData, path=path, val_path=other, test_path=other)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [20, 20, 20]
    assert torch.equal(data.split("val").values, data.split("train").values)


def test_a_test_share_of_0_leaves_no_test_split(tmp_path: Path) -> None:
    data = ready(TSFileData, path=classes(tmp_path), test_share=0)
    assert (len(data.split("train")), len(data.split("val")), data.has_test) == (18, 2, False)


def test_target_numbers_are_standardised_by_the_train_split(tmp_path: Path) -> None:
    data = ready(TSFileRegressionData, path=numbers(tmp_path))
    targets = data.split("train").targets
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.mean(0), torch.zeros(1), **TOLERANCE[torch.float32])
    torch.testing.assert_close(targets.std(0, correction=0), torch.ones(1), **TOLERANCE[torch.float32])
    (mean,), (deviation,) = data.sizes["target_mean"], data.sizes["target_deviation"]
    restored = data.split("test").targets.double() * deviation + mean
    assert set((restored - 1e9).round().flatten().tolist()) <= set(range(7))
    assert data.sizes["target_names"] == ["target"]


@pytest.mark.parametrize("suffix", ["ts", "arff", "ts.gz"])
def test_a_new_file_is_read_like_the_training_file(suffix: str, tmp_path: Path) -> None:
    data = ready(TSFileData, path=classes(tmp_path), val_share=0.2)
    fitted = build(data.preprocessing)
    text = {"ts": CLASSES + "7,8:1,2:y\n1,?:1,2:x\n", "ts.gz": CLASSES + "7,8:1,2:y\n1,?:1,2:x\n"}
    relational = "@attribute b relational\n@attribute t numeric\n@end b\n@attribute class {x,y}\n@data\n"
    text["arff"] = relational + "'7,8\\n1,2',y\n'1,?\\n1,2',x\n"
    path = tmp_path / f"new.{suffix}"
    path.write_bytes(gzip.compress(text[suffix].encode()) if suffix.endswith("gz") else text[suffix].encode())
    records = list(fitted.read(str(path)))
    assert [record.fields["label"] for record in records] == ["y", "x"]
    one, other = fitted.examples(records)
    assert torch.equal(one.value, fitted.encode({"series": [[7, 1], [8, 2]]}))
    assert other.value is None
    assert "dimension 1: value 2 is missing" in other.error


def test_labelled_records_of_the_training_file_are_the_training_data(tmp_path: Path) -> None:
    for kind, path in ((TSFileData, classes(tmp_path, "c.ts")), (TSFileRegressionData, numbers(tmp_path, "n.ts"))):
        data = ready(kind, path=path, val_path=path, test_path=path)
        fitted = build(data.preprocessing)
        split = fitted.labelled(fitted.read(str(path)), data.class_names)
        assert torch.equal(split.values, data.split("test").values)
        assert torch.equal(split.targets, data.split("test").targets)


def test_a_label_may_stand_in_a_field_or_after_the_last_colon(tmp_path: Path) -> None:
    data = ready(TSFileData, path=classes(tmp_path))
    fitted = build(data.preprocessing)
    lines = tmp_path / "new.txt"
    lines.write_text("1,2:3,4:y\n")
    rows = tmp_path / "new.csv"
    rows.write_text('series,label\n"1,2:3,4",y\n')
    objects = tmp_path / "new.jsonl"
    objects.write_text('{"series": [[1, 3], [2, 4]], "label": "y"}\n')
    for path in (lines, rows, objects):
        split = fitted.labelled(fitted.read(str(path)), data.class_names)
        assert split.targets.tolist() == [1]
        assert torch.equal(split.values, fitted.encode({"series": [[1, 3], [2, 4]]}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "1,2:3,4:z\n1,2:3,4:x\n1:2:w\n5:6:z\n",
            r"'z' \(new.txt, line 1; new.txt, line 4\), 'w' \(new.txt, line 3\); there: x, y",
        ),
        ("1,2:3,4\n", "new.txt, line 1: the target 'label' is missing"),
        ("1,2:x,4:y\n", "new.txt, line 1: text, dimension 2, value 1: must be a finite number"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_its_places(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ready(TSFileData, path=classes(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("new.txt").write_text(text)
    fitted = build(data.preprocessing)
    with pytest.raises(ValueError, match=reason):
        fitted.labelled(fitted.read("new.txt"), data.class_names)


def test_files_of_the_other_kind_of_target_are_refused_with_the_data_set_that_reads_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have target numbers, not classes; data=ts_file_regression reads them"):
        TSFileData(path=numbers(tmp_path)).splits()
    with pytest.raises(ValueError, match="have classes, not target numbers; data=ts_file reads them"):
        TSFileRegressionData(path=classes(tmp_path)).splits()
    (tmp_path / "none.ts").write_text("@data\n1,2\n")
    with pytest.raises(ValueError, match=r"none\.ts: its cases have no target numbers"):
        TSFileRegressionData(path=tmp_path / "none.ts").splits()
    with pytest.raises(ValueError, match=r"own\.csv: a file of series must end in \.ts or \.arff"):
        TSFileData(path=tmp_path / "own.csv").splits()


def test_an_archive_is_read_as_arff_where_there_is_no_ts_file(tmp_path: Path) -> None:
    folder = tmp_path / "ucr-uea" / "Own"
    folder.mkdir(parents=True)
    text = "@relation Own\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute target {a,b}\n@data\n"
    for part in ("TRAIN", "TEST"):
        (folder / f"Own_{part}.arff").write_text(text + "1,2,a\n3,4,b\n" * 5)
    data = data_of(UCRUEAData, data_dir=tmp_path, name="Own")
    data.prepare_data()
    data.setup()
    assert (data.class_names, len(data.split("test")), data.sizes["time"]) == (("a", "b"), 10, 2)


@pytest.mark.parametrize(("value", "other"), [("14.62", "14.62"), ("2e200", "-1e200")])
def test_a_constant_channel_is_0_and_a_huge_one_is_standardised(value: str, other: str, tmp_path: Path) -> None:
    path = tmp_path / "own.ts"
    path.write_text(CLASSES + f"{value},{other}:0,1:x\n{value},{other}:2,3:y\n" * 20)
    values = ready(TSFileData, path=path).split("train").values
    expected = torch.tensor([0.0, 0.0] if value == other else [1.0, -1.0])
    torch.testing.assert_close(values[:2, 0], expected, **TOLERANCE[torch.float32])


def test_options_of_a_target_scale_must_match() -> None:
    with pytest.raises(ValueError, match="one value for each of label"):
        SeriesPreprocessing(mean=[0.0], deviation=[1.0], target_mean=[0.0, 1.0], target_deviation=[1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("new.ts", CLASSES + "1,2:3,4:5,6:x\n1,2:3,4:x\n"),
        ("new.ts", CLASSES + "1,2:x\n1,2:3,4:x\n"),
        ("new.ts", "@problemName p\n@classLabel false\n@data\n1,2:3,4:5,6\n1,2:3,4\n"),
        ("new.arff", "@attribute b relational\n@attribute t real\n@end b\n@data\n'1\\n2\\n3'\n'1,2\\n3,4'\n"),
        ("new.txt", "1,2:3,4:5,?\n1,2:3,4:x\n"),
        ("new.txt", "1,2:3,4:5,6:x\n1,2:3,4\n"),
    ],
)
def test_a_record_of_other_channels_is_unreadable_and_leaves_the_others(name: str, text: str, tmp_path: Path) -> None:
    fitted = build(ready(TSFileData, path=classes(tmp_path)).preprocessing)
    (tmp_path / name).write_text(text)
    wrong, right = fitted.examples(fitted.read(str(tmp_path / name)))
    assert wrong.value is None
    assert "must have 2 channels" in wrong.error
    assert torch.equal(right.value, fitted.encode({"series": [[1, 3], [2, 4]]}))
