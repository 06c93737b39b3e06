"""Sequences in your own tables: layouts, numbers and words, targets in units, and the same reading for new files."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import CSVSequencesData, CSVSequencesRegressionData, SequencePreprocessing
from tests.conftest import TOLERANCE
from tests.datasets import ready


def wide(folder: Path) -> Path:
    """Write 20 rows of 3 steps, of which every other one has 2."""
    rows = [f"{row},{row % 5 + 0.5},{'' if row % 2 else row % 3},{'xy'[row % 2]}" for row in range(20)]
    return written(folder, "wide.csv", "t0,t1,t2,label\n" + "\n".join(rows))


def long(folder: Path, *, label: str = "label") -> Path:
    """Write 20 sequences of 2 or 3 steps, a number and a word each, in reversed order of time."""
    rows = []
    for key in range(20):
        for step in reversed(range(2 + key % 2)):
            rows.append(f"s{key},{step},{key + 10 * step},{('off', 'on')[(key + step) % 2]},{3 * (key % 2)}")
    return written(folder, "long.csv", f"id,time,load,state,{label}\n" + "\n".join(rows))


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text + "\n")
    return folder / name


LONG = {"id": "id", "time": "time"}


def test_a_row_is_a_sequence_whose_empty_cells_at_the_end_shorten_it(tmp_path: Path) -> None:
    path = wide(tmp_path)
    data = ready(CSVSequencesData, path=path, val_path=path, test_path=path, standardize=False)
    split = data.split("test")
    assert split.lengths.tolist() == [3, 2] * 10
    assert split[1].inputs.tolist() == [[1], [1.5]]
    assert split.targets.tolist() == [0, 1] * 10
    assert data.class_names == ("x", "y")
    assert data.sizes == {"input_size": 1, "output_size": 2}


def test_rows_with_the_same_id_are_a_sequence_in_the_order_of_time(tmp_path: Path) -> None:
    path = long(tmp_path)
    data = ready(CSVSequencesData, path=path, val_path=path, test_path=path, standardize=False, **LONG)
    split = data.split("test")
    assert split.lengths.tolist() == [2, 3] * 10
    assert split[3].inputs.tolist() == [[3, 0, 1], [13, 1, 0], [23, 0, 1]]  # load, off, on
    assert data.class_names == ("0", "3")
    assert split.targets.tolist() == [0, 1] * 10


def test_channels_by_prefix_are_those_of_a_long_table(tmp_path: Path) -> None:
    rows = [f"{row},{row + 1},{row % 3},{row % 2},p{row % 2},n" for row in range(10)]
    path = written(tmp_path, "wide.csv", "x_1,x_2,y_1,y_2,label,note\n" + "\n".join(rows))
    steps = [f"{row},{step},{row + step},{(row % 3, row % 2)[step]},p{row % 2}" for row in range(10) for step in (0, 1)]
    other = written(tmp_path, "long.csv", "id,time,x,y,label\n" + "\n".join(steps))
    shares = {"val_share": 0.2, "test_share": 0.2}
    one = ready(CSVSequencesData, path=path, channels=["x_", "y_"], exclude="note", **shares)
    two = ready(CSVSequencesData, path=other, **LONG, **shares)
    for name in ("train", "val", "test"):
        assert torch.equal(one.split(name).values, two.split(name).values)
        assert torch.equal(one.split(name).targets, two.split(name).targets)


def test_numbers_are_standardised_and_words_are_not(tmp_path: Path) -> None:
    values = ready(CSVSequencesData, path=long(tmp_path), **LONG).split("train").values
    assert values.shape[1] == 3
    torch.testing.assert_close(values[:, 0].mean(), torch.tensor(0.0), **TOLERANCE[torch.float32])
    torch.testing.assert_close(values[:, 0].std(correction=0), torch.tensor(1.0), **TOLERANCE[torch.float32])
    assert torch.equal(values[:, 1:].sum(1), torch.ones(len(values)))


def test_targets_are_standardised_and_in_units_in_the_sizes(tmp_path: Path) -> None:
    path = long(tmp_path, label="price")
    data = ready(CSVSequencesRegressionData, path=path, target="price", **LONG)
    targets = data.split("train").targets
    torch.testing.assert_close(targets.mean(0), torch.zeros(1), **TOLERANCE[torch.float32])
    assert data.sizes["target_names"] == ["price"]
    restored = data.split("val").targets.double() * data.sizes["target_deviation"][0] + data.sizes["target_mean"][0]
    assert set(restored.round(decimals=5).flatten().tolist()) <= {0.0, 3.0}


def test_several_targets_are_several_outputs(tmp_path: Path) -> None:
    path = written(tmp_path, "my.csv", "a,b,u,v\n" + "\n".join(f"{row},2,{row * 3},{-row}" for row in range(20)))
    data = ready(CSVSequencesRegressionData, path=path, target=["u", "v"])
    assert data.sizes["output_size"] == 2
    assert data.sizes["target_names"] == ["u", "v"]
    torch.testing.assert_close(data.split("train").targets[:, 0], -data.split("train").targets[:, 1])


def json_lines(folder: Path, path: Path) -> Path:
    """Write the sequences of a long table as lines of JSON."""
    sequences: dict[str, dict[str, Any]] = {}
    for line in reversed(path.read_text().splitlines()[1:]):
        key, _, load, state, label = line.split(",")
        fields = sequences.setdefault(key, {"load": [], "state": [], "label": label})
        fields["load"].append(float(load))
        fields["state"].append(state)
    return written(folder, "new.jsonl", "\n".join(map(json.dumps, reversed(sequences.values()))))


def test_labelled_records_of_the_training_file_are_the_training_data(tmp_path: Path) -> None:
    for path, options in ((wide(tmp_path), {}), (long(tmp_path), LONG)):
        data = ready(CSVSequencesData, path=path, val_path=path, test_path=path, **options)
        fitted = build(json.loads(json.dumps(data.preprocessing)))
        others = [path] if not options else [path, json_lines(tmp_path, path)]
        for other in others:
            split = fitted.labelled(fitted.read(str(other)), data.class_names)
            assert torch.equal(split.values, data.split("test").values)
            assert torch.equal(split.targets, data.split("test").targets)


def test_lists_of_steps_in_json_lines_are_those_of_a_long_table(tmp_path: Path) -> None:
    path = long(tmp_path)
    one = ready(CSVSequencesData, path=path, **LONG)
    two = ready(CSVSequencesData, path=json_lines(tmp_path, path))
    for name in ("train", "val", "test"):
        assert torch.equal(one.split(name).values, two.split(name).values)
        assert torch.equal(one.split(name).targets, two.split(name).targets)


def test_a_table_in_another_dialect_is_read_as_the_training_table_was(tmp_path: Path) -> None:
    rows = "\n".join(f"{row}|{row % 3}|ä{row % 2}" for row in range(20))
    path = tmp_path / "own.txt.csv"
    path.write_bytes(rows.encode("latin-1"))
    data = ready(CSVSequencesData, path=path, label=2, header=False, encoding="latin-1", test_path=path)
    fitted = build(data.preprocessing)
    split = fitted.labelled(fitted.read(str(path)), data.class_names)
    assert torch.equal(split.values, data.split("test").values)
    assert data.class_names == ("ä0", "ä1")


def test_unknown_words_are_no_input_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fitted = build(ready(CSVSequencesData, path=long(tmp_path), **LONG).preprocessing)
    path = written(tmp_path, "new.csv", "id,time,load,state\na,0,1,idle\na,1,2,on\nb,0,1,idle")
    with caplog.at_level(logging.WARNING, "seqmodels"):
        one, other = fitted.examples(fitted.read(str(path)))
    assert one.value[:, 1:].tolist() == [[0, 0], [0, 1]]
    assert other.fields == {"id": "b"}
    assert "state: 2 words do not occur in training and are left out: 'idle'" in caplog.text


def test_one_sequence_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    fitted = build(ready(CSVSequencesData, path=wide(tmp_path)).preprocessing)
    path = written(tmp_path, "new.csv", "t0,t1,t2\n1,2,3\n1,x,3\n1,,3\n,,\n4,5,")
    found = list(fitted.examples(fitted.read(str(path))))
    assert [example.value is None for example in found] == [False, True, True, True, False]
    assert "line 3: value, step 2: must be a finite number, got 'x'" in found[1].error
    assert "line 4: value: value 2 is missing" in found[2].error
    assert "line 5: there is no step" in found[3].error


def test_a_bad_row_leaves_other_sequences_and_labels_matter_only_where_they_are_read(tmp_path: Path) -> None:
    data = ready(CSVSequencesData, path=long(tmp_path), **LONG)
    fitted = build(data.preprocessing)
    rows = [
        "a,0,1,on,0",
        "b,0,1,on,0",
        "b,0,2,on,0",
        "c,0,1,on,0,1",
        ",0,1,on,0",
        "d,x,1,on,0",
        "a,1,2,on,3",
        "e,0,1,on,0",
    ]
    path = written(tmp_path, "new.csv", "id,time,load,state,label\n" + "\n".join(rows))
    examples = list(fitted.examples(fitted.read(str(path))))
    assert [example.fields["id"] for example in examples] == ["a", "b", "c", "", "d", "e"]
    reasons = ["", "line 4: the same time", "line 5: 6 fields", "line 6: the column 'id'", "line 7, time: must be", ""]
    for example, reason in zip(examples, reasons, strict=True):
        assert (example.value is None) == bool(reason)
        assert reason in example.error
    assert examples[0].value.shape == (2, 3)
    records = [record for record in fitted.read(str(path)) if not record.error]
    with pytest.raises(ValueError, match=r"line 8: label is '3', but '0' in .*line 2, a row of the same sequence"):
        fitted.labelled(records, data.class_names)
    assert len(fitted.labelled(records[1:], data.class_names)) == 1


@pytest.mark.parametrize("name", ["load", "state"])
def test_missing_values_are_errors_or_filled_in(name: str, tmp_path: Path) -> None:
    path = long(tmp_path)
    lines = path.read_text().replace("s3,1,13,off", "s3,1,NA,off" if name == "load" else "s3,1,13,?")
    path.write_text(lines)
    with pytest.raises(ValueError, match=r"line \d+ \(id 's3'\): (load|state): value 2 is missing"):
        ready(CSVSequencesData, path=path, **LONG)
    data = ready(CSVSequencesData, path=path, test_path=path, missing="interpolate", standardize=False, **LONG)
    filled = data.split("test")[3].inputs[1].tolist()
    assert filled == ([13, 1, 0] if name == "load" else [13, 0, 0])


HEAD = "id,time,load,label\n"


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (HEAD + "a,0,1,x\na,1,2,y\n", LONG, r"line 3: label is 'y', but 'x' in .*line 2, a row of the same sequence"),
        (HEAD + "a,0,1,x\na,0,2,x\n", LONG, "line 3: the same time as in .*line 2"),
        (HEAD + "a,soon,1,x\na,0,2,x\n", LONG, "line 2, time: must be a number or a date like 2024-01-31, got 'soon'"),
        (HEAD + "a,0,1,x\nb,0,2,x\n", LONG, r"no value of 'id' occurs in two rows.*data\.exclude=\[id\]"),
        (HEAD + ",0,1,x\nb,0,2,x\n", LONG, "line 2: the column 'id' tells the sequence of a row, and is empty"),
        (HEAD + "a,0,1,x\n", {"label": "labels"}, r"has no column 'labels'; did you mean 'label'"),
        (HEAD + "a,0,1,x\n", {"channels": ["load", "q_"]}, "has no column that starts with 'q_'"),
        (HEAD + "a,0,1,x\n" * 20, {}, r"value must be a number as in other rows, got 'a'; data\.categorical=\[value\]"),
        ("a,label\n1,x\n", {"exclude": ["a"]}, "has no column for the steps"),
        ("a,label\n1,\n2,x\n3,x\n" + "4,x\n" * 20, {}, "the target 'label' is missing"),
    ],
)
def test_a_table_that_is_none_of_sequences_is_refused_with_the_place(
    text: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        ready(CSVSequencesData, path=written(tmp_path, "own.csv", text), **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"time": "t"}, "time=t orders the rows of a sequence, which id tells: give id too"),
        ({"id": "i", "channels": ["x"]}, "are for tables whose rows are sequences, without id"),
        ({"val_share": 0}, r"val_share must lie in \(0, 1\)"),
        ({"val_share": 0.6, "test_share": 0.4}, "must leave something to train with"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CSVSequencesData(path="own.csv", **options)


@pytest.mark.parametrize(
    ("target", "reason"),
    [([], r"data\.target must name a column, or several, got \[\]"), (["y", "y"], "names the column 'y' twice")],
)
def test_targets_are_different_columns(target: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CSVSequencesRegressionData(path="own.csv", target=target)


def test_free_text_and_times_are_no_words(tmp_path: Path) -> None:
    rows = "\n".join(f"s{row // 2},2024-{row % 12 + 1:02d}-01T{row},1,{'xy'[row // 2 % 2]}" for row in range(220))
    path = written(tmp_path, "own.csv", "id,when,load,label\n" + rows)
    with pytest.raises(ValueError, match=r"different words in .* steps, too many to learn from: data\.time=when if"):
        ready(CSVSequencesData, path=path, id="id")


def test_options_of_the_preprocessing_must_match() -> None:
    with pytest.raises(ValueError, match="must be given for each of names"):
        SequencePreprocessing(names=["a"], columns=[], words=[[]], mean=[0], deviation=[1], target=["label"])
