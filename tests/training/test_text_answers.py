"""What training, evaluation and prediction say of the same texts."""

import gzip
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Answer

Command = Callable[..., Answer]
SMALL = ["cell=gru", "cell.hidden_size=5", "model.embedding_size=3", "trainer.max_epochs=2", "logger=none", "seed=3"]
SMALL += ["trainer=cpu", "hydra.run.dir=run", "optimizer.lr=0.05"]
NAMES = [f"{first}{second}a" for first in ("Jo", "Ma", "Te", "Lui") for second in "bdfgklmnprstv"]


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def metrics(command: Command, *options: str) -> dict[str, float]:
    answer = command("evaluate", "run=run", *options, "hydra.run.dir=evaluated")
    assert answer.status == 0, answer.err
    found: dict[str, float] = json.loads(Path("evaluated/metrics.json").read_text())
    return found


def weighted_loss(records: list[dict[str, Any]]) -> float:
    """Return the mean loss per token of predicted texts."""
    scored = [record for record in records if record["loss"] is not None]
    return sum(record["loss"] * record["tokens"] for record in scored) / sum(record["tokens"] for record in scored)


def train(command: Command, *options: str) -> dict[str, float]:
    answer = command("train", *options, *SMALL)
    assert answer.status == 0, answer.err
    found: dict[str, float] = json.loads(Path("run/metrics.json").read_text())
    return found


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in NAMES))
    return path


@pytest.mark.parametrize("documents", ["line", "file"])
def test_the_loss_of_a_text_is_the_same_in_training_evaluation_and_prediction(
    documents: str, names: Path, command: Command
) -> None:
    options = ["data=text", "data.path=names.txt", "data.val_path=names.txt", "data.test_path=names.txt"]
    options += [f"data.documents={documents}", "data.bptt=7", "data.batch_size=3", "data.eval_batch_size=1"]
    trained = train(command, *options, "data.cache_dir=cache")
    evaluated = metrics(command, "input=names.txt")
    predicted = lines(command("predict", "run=run", "input=names.txt"))
    assert len(predicted) == (len(NAMES) if documents == "line" else 1)
    assert "text" in predicted[0] if documents == "line" else predicted[0]["file"] == "names.txt"
    assert weighted_loss(predicted) == pytest.approx(evaluated["test/loss"], rel=1e-5)
    assert trained["test/loss"] == pytest.approx(evaluated["test/loss"], rel=1e-5)
    for name in ("perplexity", "bits_per_character", "unknown"):
        assert trained[f"test/{name}"] == pytest.approx(evaluated[f"test/{name}"], rel=1e-5)


def test_a_blank_line_has_an_empty_answer_and_counts_in_no_loss(names: Path, command: Command) -> None:
    train(command, "data=text", "data.path=names.txt", "data.documents=line", "data.bptt=7", "data.batch_size=3")
    Path("new.txt.gz").write_bytes(gzip.compress(b"Joda\n\nMaxi\n \n"))
    predicted = lines(command("predict", "run=run", "input=new.txt.gz"))
    assert [record["tokens"] for record in predicted] == [5, None, 5, None]
    assert [record["text"] for record in predicted] == ["Joda", "", "Maxi", " "]
    Path("none.txt").write_text("\n \n")
    none = command("evaluate", "run=run", "input=none.txt")
    assert (none.status, "the input holds no text" in none.err) == (2, True)
    found = metrics(command, "input=new.txt.gz")
    assert weighted_loss(predicted) == pytest.approx(found["test/loss"], rel=1e-5)
    assert found["test/unknown"] == pytest.approx(1 / 10)  # the x
    assert found["test/bits_per_character"] == pytest.approx(found["test/loss"] * 10 / math.log(2) / 8, rel=1e-5)


def test_a_folder_and_json_lines_are_predicted_as_they_were_trained_on(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / "sub" / f"{number:02}.txt").write_text(f"{name}\nand {name}")
    (folder / "more.jsonl").write_text('{"body": "Jola"}\n\n{"body": "Mafa"}\n')
    train(command, "data=text", "data.path=texts", "data.field=body", "data.bptt=7", "data.batch_size=3")
    predicted = lines(command("predict", "run=run", "input=texts"))
    assert [record.get("file") for record in predicted[:3]] == ["more.jsonl", "more.jsonl", "sub/00.txt"]
    assert [record.get("text") for record in predicted[:3]] == ["Jola", "Mafa", None]
    assert weighted_loss(predicted) == pytest.approx(metrics(command, "input=texts")["test/loss"], rel=1e-5)
    own = lines(command("predict", "run=run", "input=texts/more.jsonl", "keep=[body]"))
    assert [record["body"] for record in own] == ["Jola", "Mafa"]
    assert own[1]["loss"] == pytest.approx(predicted[1]["loss"], rel=1e-5)


def test_a_text_ends_where_a_document_ends_and_no_line_end_follows(names: Path, command: Command) -> None:
    train(command, "data=text", "data.path=names.txt", "data.documents=line", "data.bptt=7", "data.batch_size=3")
    written = command("generate", "run=run", "samples=5", "length=300", "temperature=1")
    assert written.status == 0, written.err
    texts = written.out.splitlines()
    assert [text for text in texts if text.startswith("---")] == [f"--- {number} ---" for number in range(1, 6)]
    assert len(texts) == 10
    assert all(len(text) < 300 for text in texts)


@pytest.mark.parametrize("kind", ["text_csv", "text_csv_multilabel", "text_folder"])
def test_evaluation_is_prediction_and_its_metric(kind: str, tmp_path: Path, command: Command) -> None:
    rows = [(f"{('good', 'bad')[row % 2]} film {row % 7}", ("pos", "neg")[row % 2]) for row in range(60)]
    new = [("good day", "pos"), ("bad day", "neg"), ("good film", "neg"), ("so so", "pos"), ("bad", "neg")]
    for name, texts in (("old", rows), ("new", new)):
        if kind == "text_folder":
            for number, (text, label) in enumerate(texts):
                (tmp_path / name / label).mkdir(parents=True, exist_ok=True)
                (tmp_path / name / label / f"{number}.txt").write_text(text)
        else:
            column = "labels" if kind == "text_csv_multilabel" else "label"
            table = f"text;{column}\n" + "".join(f"{text};{label}\n" for text, label in texts)
            (tmp_path / f"{name}.csv").write_text(table, encoding="latin-1")
    suffix = "" if kind == "text_folder" else ".csv"
    options = ["data.encoding=latin-1"] if suffix else []
    options += ["data.separator=','"] if kind == "text_csv_multilabel" else []
    train(command, f"data={kind}", f"data.path=old{suffix}", *options)
    predicted = lines(command("predict", "run=run", f"input=new{suffix}"))
    found = metrics(command, f"input=new{suffix}")
    truth = "labels" if kind == "text_csv_multilabel" else "label"
    kept = [record.get(f"input.{truth}", record.get(truth)) for record in predicted]
    probabilities = [record["probabilities"] for record in predicted]
    if kind == "text_csv_multilabel":
        losses = [
            -sum(math.log(p if name == label else 1 - p) for name, p in row.items())
            for row, label in zip(probabilities, kept, strict=True)
        ]
        right = [record["labels"] == [label] for record, label in zip(predicted, kept, strict=True)]
        assert found["test/exact_match"] == pytest.approx(sum(right) / 5)
    else:
        losses = [-math.log(row[label]) for row, label in zip(probabilities, kept, strict=True)]
        right = [record["class"] == label for record, label in zip(predicted, kept, strict=True)]
        assert found["test/accuracy"] == pytest.approx(sum(right) / 5)
    assert found["test/loss"] == pytest.approx(sum(losses) / 5, rel=1e-4)


def test_the_file_of_the_training_can_be_predicted_however_it_is_written(tmp_path: Path, command: Command) -> None:
    (tmp_path / "q.tsv").write_text('text\tlabel\n"so good\tpos\nso bad"\tneg\n' + '"so good\tpos\nso bad"\tneg\n' * 30)
    train(command, "data=text_csv", "data.path=q.tsv", "data.quotes=false")
    assert [record["text"] for record in lines(command("predict", "run=run", "input=q.tsv"))[:2]] == [
        '"so good',
        'so bad"',
    ]
    shutil.rmtree("run")
    packed = gzip.compress("pos|süß\rneg|böse\r".encode("latin-1") * 30)
    (tmp_path / "bare.csv.gz").write_bytes(packed)
    options = ["data.header=false", "data.encoding=latin-1", "data.text=1", "data.label=0"]
    train(command, "data=text_csv", "data.path=bare.csv.gz", *options)
    predicted = lines(command("predict", "run=run", "input=bare.csv.gz"))
    assert len(predicted) == 60
    assert [record["1"] for record in predicted[:2]] == ["süß", "böse"]
