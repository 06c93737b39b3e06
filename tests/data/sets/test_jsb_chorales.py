"""Piano rolls in JSON, and the chorales."""

import json
from pathlib import Path

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import DataModule, JSBChoralesData, RollPreprocessing
from seqmodels.data.formats.piano_roll import KEYS, parse_rolls
from seqmodels.data.preprocessing import Preprocessing
from tests.datasets import data_of

SPLITS = ("train", "valid", "test")
PIECE = [[60, 64, 67], [], [60.0, -1, 108], [21]]


def chorales(folder: Path, content: object, **options: object) -> DataModule:
    path = folder / "own.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    data = data_of(JSBChoralesData, data_dir=folder, path=str(path), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_a_frame_has_the_keys_that_sound() -> None:
    (roll,) = parse_rolls(json.dumps({"train": [PIECE]}), "own.json")["train"]
    assert roll.shape == (4, KEYS)
    sounding = [frame.nonzero().flatten().add(21).tolist() for frame in roll]
    assert sounding == [[60, 64, 67], [], [60, 108], [21]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON: .*line 1"),
        ("3", "must hold a list of pieces, or such a list for each split"),
        ('{"train": 3}', "must hold a list of pieces"),
        ('{"train": [[[60]], []]}', r"train, piece 2: must be a list of at least one frame, got \[\]"),
        ('{"train": [7]}', "train, piece 1: must be a list of at least one frame, got 7"),
        ("[[[60], 61]]", "own.json, piece 1, frame 2: must be a list of MIDI numbers, got 61"),
        ("[[[60], [20]]]", "piece 1, frame 2: a note must be a MIDI number in 21 to 108, got 20"),
        ("[[[109]]]", "a note must be a MIDI number in 21 to 108, got 109"),
        ("[[[60.5]]]", "a note must be a MIDI number in 21 to 108, got 60.5"),
        ("[[[true]]]", "a note must be a MIDI number in 21 to 108, got True"),
        ('[[["C4"]]]', "a note must be a MIDI number in 21 to 108, got 'C4'"),
        ("[[[NaN]]]", "a note must be a MIDI number in 21 to 108, got nan"),
    ],
)
def test_what_is_no_piano_roll_is_refused_by_split_piece_and_frame(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^own.json.*{reason.removeprefix('own.json')}"):
        parse_rolls(text, "own.json")


def test_every_frame_but_the_first_is_the_target_of_the_one_before(tmp_path: Path) -> None:
    data = chorales(tmp_path, {"train": [PIECE, PIECE[:2]], "valid": [PIECE[1:]], "test": [PIECE]})
    batch = data.split("train").__getitems__([0, 1])
    assert batch.lengths.tolist() == [3, 1]
    assert torch.equal(batch.inputs[0, 1:], batch.targets[0, :-1])
    assert (batch.inputs[1, 1:] == 0).all()
    assert (batch.targets[1, 1:] == 0).all()
    assert batch.targets[1, 0].sum() == 0  # the second frame is silent
    assert len(data.split("val")) == 1


def test_a_record_is_read_as_the_pieces_of_the_data_set_are(tmp_path: Path) -> None:
    rebuilt: Preprocessing = build(chorales(tmp_path, {split: [PIECE] for split in SPLITS}).preprocessing)
    (roll,) = parse_rolls(json.dumps([PIECE]), "own.json")[""]
    for record in ({"frames": PIECE}, {"frames": json.dumps(PIECE)}, {"text": json.dumps(PIECE)}):
        assert torch.equal(rebuilt.encode(record), roll)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"notes": [[60]]}, "a record must have a field frames or text, got notes"),
        ({"frames": []}, r"frames: must be a list of at least one frame, got \[\]"),
        ({"text": "[[60]"}, r"text .'\[\[60\]'.: is not JSON"),
        ({"frames": [[60], [7]]}, "frames, frame 2: a note must be a MIDI number in 21 to 108, got 7"),
    ],
)
def test_a_record_that_is_no_piece_is_refused_by_field_and_frame(record: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RollPreprocessing().encode(record)


def test_the_names_of_the_keys_are_those_of_a_piano(tmp_path: Path) -> None:
    names = chorales(tmp_path, {split: [PIECE] for split in SPLITS}).class_names
    assert (len(names), names[0], names[60 - 21], names[-1]) == (88, "A0", "C4", "C8")


def test_pieces_without_splits_are_parted_by_the_data_seed(tmp_path: Path) -> None:
    pieces = [[[21 + row], [21 + row], [60]] for row in range(23)]
    first, again, other = (chorales(tmp_path, pieces, data_seed=seed) for seed in (0, 0, 1))
    rows = {name: first.split(name).values[::2].nonzero()[:, 1].tolist() for name in ("train", "val", "test")}
    assert {name: len(part) for name, part in rows.items()} == {"train": 19, "val": 2, "test": 2}
    assert sorted(row for part in rows.values() for row in part) == list(range(23))
    assert torch.equal(first.split("test").values, again.split("test").values)
    assert not torch.equal(first.split("train").values, other.split("train").values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"train": [PIECE], "test": [PIECE]}, r"must have the splits .*; val is missing \(has: train, test\)"),
        ({"train": [PIECE, [[60]]], "valid": [PIECE], "test": [PIECE]}, "train, piece 2: must have at least 2 frames"),
        ({"train": [PIECE], "valid": [], "test": [PIECE]}, "the val split is empty"),
        ([PIECE, PIECE], "the train split is empty"),
    ],
)
def test_splits_that_cannot_be_are_refused(content: object, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        chorales(tmp_path, content)


def test_an_own_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.path=nowhere\.json: there is no such file"):
        JSBChoralesData(data_dir=tmp_path, path="nowhere.json").prepare()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_bytes(b"[\xff]")
    with pytest.raises(ValueError, match=r"own\.json, line 1: byte 0x.. at offset 1 is not utf-8"):
        JSBChoralesData(data_dir=tmp_path, path=str(path)).splits()


def test_the_chorales_read_as_published(data_dir: Path) -> None:
    data = data_of(JSBChoralesData, data_dir=data_dir)
    data.prepare_data()
    data.setup("fit")
    splits = [data.split(name) for name in ("train", "val", "test")]
    assert [len(split) for split in splits] == [229, 76, 77]
    assert [int(split.lengths.sum()) for split in splits] == [13807 - 229, 4602 - 76, 4725 - 77]
    assert 3.5 < float(splits[0].targets.sum(1).mean()) < 4  # four voices, at times on one key
