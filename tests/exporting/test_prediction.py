"""Prediction for the records of a file."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from seqmodels.data import DataModule, DigitsData, SequenceDataset
from seqmodels.data.sets.digits import DEVIATION, MEAN
from seqmodels.errors import ConfigError
from seqmodels.exporting.answers import flatten_record
from seqmodels.exporting.prediction import predict
from seqmodels.training.checkpointing import load_task
from seqmodels.training.fit import train
from seqmodels.training.model_folder import load_model
from tests.composing import composed

ROWS = 7
SMALL = ["cell.hidden_size=5", "trainer=cpu", "trainer.max_epochs=1", "trainer.limit_train_batches=3", "logger=none"]
SMALL += ["baselines=false"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small finished run on the digits."""
    folder = tmp_path_factory.mktemp("run")
    train(composed(folder, *SMALL))
    return folder


@pytest.fixture(scope="module")
def images() -> SequenceDataset:
    data = DataModule(DigitsData())
    data.setup()
    split: SequenceDataset = data.split("test")
    return SequenceDataset(split.inputs[:ROWS], split.targets[:ROWS])


def run_predict(run: Path, source: Path, output: Any, **options: Any) -> int:
    base = {"run": str(run), "input": str(source), "output": str(output), "format": None, "ckpt": None}
    return predict(
        OmegaConf.create(
            {**base, "batch_size": 3, "threads": 1, "keep": [], "strict": True, "accelerator": "cpu", **options}
        )
    )


@pytest.fixture
def published(tmp_path: Path, images: SequenceDataset) -> Path:
    """A file of images in the published format, 0 to 16; the last image is truncated."""
    path = tmp_path / "new.jsonl"
    pixels = (images.inputs * DEVIATION + MEAN).round().int().tolist()
    lines = [json.dumps({"series": image}) for image in [*pixels, pixels[0][:3]]]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_record_gets_what_the_tested_network_says_of_it(
    run: Path, published: Path, tmp_path: Path, images: SequenceDataset
) -> None:
    assert run_predict(run, published, tmp_path / "out.jsonl") == ROWS + 1
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["row"] for record in found] == list(range(1, ROWS + 2))
    model = load_model(run / "model")
    expected = [*model(images.inputs), model(images.inputs[:1, :3])[0]]
    for record, logits in zip(found, expected, strict=True):
        assert list(record["probabilities"].values()) == pytest.approx(logits.softmax(-1).tolist(), rel=1e-4)
        assert record["class"] == str(int(logits.argmax()))


def test_a_table_has_a_column_for_every_class(run: Path, published: Path, tmp_path: Path) -> None:
    run_predict(run, published, tmp_path / "out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert len(rows) == ROWS + 1
    assert list(rows[0]) == ["row", "class", *(f"probabilities.{digit}" for digit in range(10))]


def test_the_size_of_a_batch_changes_nothing(run: Path, published: Path, tmp_path: Path) -> None:
    texts = []
    for batch_size in (1, 100):
        run_predict(run, published, tmp_path / "out.jsonl", batch_size=batch_size)
        texts.append([json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()])
    for one, other in zip(*texts, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], rel=1e-4)


def test_a_record_that_cannot_be_read_is_named_and_leaves_no_file(run: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"series": [[0] * 8]}) + "\n" + json.dumps({"series": [[0] * 7]}) + "\n")
    (tmp_path / "old.jsonl").write_text("from before")
    with pytest.raises(ValueError, match=r"bad.jsonl, line 2: series, step 1: must have 8 numbers"):
        run_predict(run, bad, tmp_path / "old.jsonl", batch_size=1)
    assert (tmp_path / "old.jsonl").read_text() == "from before"
    assert {path.name for path in tmp_path.iterdir()} == {"bad.jsonl", "old.jsonl"}


def test_an_empty_file_gives_an_empty_one(run: Path, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    assert run_predict(run, tmp_path / "none.jsonl", tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"input": "nowhere.jsonl"}, "nowhere.jsonl cannot be read: No such file"),
        ({"output": "nowhere/out.jsonl"}, "output=nowhere/out.jsonl cannot be written: No such file"),
        ({"output": "out.txt"}, r"output=out.txt must end in .jsonl, .csv, .tsv or .parquet"),
        ({"output": "out.xls"}, "out.xls: its suffix says no format"),
        ({"format": "xml"}, "format must be one of"),
        ({"batch_size": 0}, "batch_size must be a positive whole number, got 0"),
        ({"ckpt": "first"}, "ckpt=first: there is no file first"),
        ({"ckpt": "refit"}, r"ckpt=refit: there is no file .*refit.ckpt \(checkpoints of this run: best, last\)"),
        ({"accelerator": "gpu"}, "accelerator=gpu: torch .* finds no GPU"),
        ({"keep": ["id"]}, r"keep: .*new.jsonl, line 1 has no column 'id' that its prediction can carry over"),
    ],
)
def test_wrong_options_are_named(
    options: dict[str, object], reason: str, run: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published.parent)
    with pytest.raises(ValueError, match=reason):
        run_predict(run, published, **{"output": "out.jsonl", **options})
    assert not list(Path().glob("out*"))


def test_a_checkpoint_without_preprocessing_says_so(run: Path, published: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["recipe"]["preprocessing"] = None
    torch.save(checkpoint, tmp_path / "old.ckpt")
    assert load_task(tmp_path / "old.ckpt")
    with pytest.raises(ConfigError, match=r"DigitsData has no way to read new files"):
        run_predict(run, published, tmp_path / "out.jsonl", ckpt=str(tmp_path / "old.ckpt"))


@pytest.mark.parametrize("unreadable", [[], [0], [1], [0, 1], [2]])
def test_a_record_that_cannot_be_read_keeps_its_row_with_an_empty_prediction(
    unreadable: list[int], run: Path, tmp_path: Path
) -> None:
    lines = [
        json.dumps({"id": number, "series": [[number] * (7 if number in unreadable else 8)]}) for number in range(3)
    ]
    (tmp_path / "new.jsonl").write_text("\n".join(lines))
    options = {"strict": False, "keep": ["id"]}
    assert run_predict(run, tmp_path / "new.jsonl", tmp_path / "out.csv", **options) == 3
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [(row["row"], row["id"]) for row in rows] == [("1", "0"), ("2", "1"), ("3", "2")]
    assert list(rows[0]) == ["row", "id", "class", *(f"probabilities.{digit}" for digit in range(10))]
    assert [number for number, row in enumerate(rows) if not row["class"]] == unreadable
    run_predict(run, tmp_path / "new.jsonl", tmp_path / "out.jsonl", **options)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [number for number, row in enumerate(found) if row["class"] is None] == unreadable
    assert all(list(row) == ["row", "id", "class", "probabilities"] for row in found)


def test_the_input_is_never_the_output(run: Path, published: Path) -> None:
    before = published.read_bytes()
    with pytest.raises(ConfigError, match=r"is the input, which would be lost: name another file"):
        run_predict(run, published, published.parent / ".." / published.parent.name / published.name)
    assert published.read_bytes() == before


def test_a_file_of_which_nothing_can_be_read_is_an_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"series": [[1, 2]]}\n' * 3)
    with pytest.raises(ValueError, match=r"no record can be read: .*new.jsonl, line 1: series, step 1"):
        run_predict(run, tmp_path / "new.jsonl", tmp_path / "out.csv", strict=False)
    assert not (tmp_path / "out.csv").exists()


def test_a_column_of_the_input_that_the_prediction_needs_is_renamed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text(json.dumps({"class": "mine", "row": 7, "series": [[1] * 8]}))
    run_predict(run, tmp_path / "new.jsonl", tmp_path / "out.jsonl", keep=None)
    found = json.loads((tmp_path / "out.jsonl").read_text())
    assert list(found) == ["row", "input.class", "input.row", "class", "probabilities"]
    assert (found["input.class"], found["input.row"]) == ("mine", 7)


def test_nested_values_become_dotted_columns() -> None:
    assert flatten_record({"a": {"b": 1, "c": {"d": "x"}}, "e": [1, "ü"]}) == {"a.b": 1, "a.c.d": "x", "e": '[1, "ü"]'}
