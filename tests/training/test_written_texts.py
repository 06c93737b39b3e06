"""Runs of models that write a text for a text: what they leave, and what their commands print."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf, open_dict

from seqmodels.config.build import build
from seqmodels.errors import ConfigError
from seqmodels.exporting.generation import write_samples
from seqmodels.exporting.prediction import predict
from seqmodels.tasks import Search, Seq2Seq
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.evaluation import evaluate
from seqmodels.training.fit import train
from seqmodels.training.trained import set_search
from tests.composing import TINY, composed

SOURCES = ["a man sleeps", "a man eats", "a dog eats", "a dog sleeps"]
TARGETS = ["ein Mann schläft", "ein Mann isst", "ein Hund frisst", "ein Hund schläft"]
SMALL = ["cell=gru", "cell.hidden_size=6", "model.embedding_size=5", "logger=none", "task.metrics=[wer,exact_match]"]
ROWS = 40


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "own.tsv"
    rows = [f"{SOURCES[row % 4]} {row}\t{TARGETS[row % 4]}\n" for row in range(ROWS)]
    path.write_text("en\tde\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Any:
    own = ["data=text_pairs", f"data.path='{table}'", "data.source=en", "data.target=de", "data.batch_size=8"]
    schedule = ["scheduled_sampling=linear", "task.label_smoothing=0.1"]
    return composed(tmp_path_factory.mktemp("run"), *own, *TINY, *SMALL, *schedule)


@pytest.fixture(scope="module")
def run(config: Any) -> Path:
    """The folder of a small finished run."""
    train(config)
    return Path(config.paths.output_dir)


def options_of(run: Path, **options: Any) -> Any:
    base = {"run": str(run), "format": None, "ckpt": None, "accelerator": "cpu", "threads": 1}
    return OmegaConf.create({**base, **options})


def predicted(run: Path, source: Path, **options: Any) -> list[dict[str, Any]]:
    output = source.with_suffix(".out.jsonl")
    base = {"input": str(source), "output": str(output), "batch_size": 3, "keep": [], "strict": False}
    predict(options_of(run, **{**base, **options}))
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def generated(run: Path, prompt: str, **options: Any) -> str:
    base = {"length": None, "temperature": None, "top_k": None, "top_p": None, "samples": None, "seed": 1}
    out = io.StringIO()
    write_samples(options_of(run, **{**base, **options}), prompt, out)
    return out.getvalue()


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_run_leaves_metrics_outputs_and_pictures_of_attention(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"test/loss", "test/perplexity", "test/wer", "test/exact_match", "train/smoothed_loss"} <= set(metrics)
    rows = table_of(run / "outputs.csv")
    assert len(rows) == ROWS // 10
    assert set(rows[0]) == {"source", "references", "output"}
    assert rows[0]["references"] in [text.lower() for text in TARGETS]
    picture = (run / "alignment_1.svg").read_text(encoding="utf-8")
    assert ">eats</text>" in picture or ">sleeps</text>" in picture


def test_predictions_of_the_model_folder_are_those_of_the_task(run: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.txt"
    new.write_text("a man eats 3\na cat\n\na dog sleeps 1 2 3 4 5 6\n", encoding="utf-8")
    task, recipe = load_trained(run / "checkpoints" / "best.ckpt")
    assert isinstance(task, Seq2Seq)
    text = build(recipe["preprocessing"])
    for search in (Search(), Search(beam=2, n_best=2), Search(beam=4, n_best=2, length_penalty=1.0)):
        task.search = search
        found = predicted(run / "model", new, **asdict(search))
        n_best = task.search.n_best
        assert [line["row"] for line in found] == [1] * n_best + [2] * n_best + [3] + [4] * n_best
        assert found[2 * n_best]["output"] is None
        for row, source in ((1, "a man eats 3"), (4, "a dog sleeps 1 2 3 4 5 6")):
            (expected,) = task.records(text.collate([text.encode({"text": source})]), ())
            written = [line for line in found if line["row"] == row]
            assert [line["output"] for line in written] == [record["output"] for record in expected]
            assert [line["score"] for line in written] == pytest.approx([record["score"] for record in expected])


def test_a_typed_line_is_answered_as_predict_does(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.txt"
    new.write_text("a dog eats 7\na xyz 1\n", encoding="utf-8")
    first, second = (line["output"] for line in predicted(run, new))
    assert generated(run, "a dog eats 7") == f"{first}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("a dog eats 7\n \na xyz 1"))
    capsys.readouterr()
    assert generated(run, "") == f"{first}\n\n{second}\n"
    assert "there is no token to read, got ' '" in (err := capsys.readouterr().err)
    assert "2 of 3 tokens of the prompt are unknown" in err
    lines = generated(run, "a dog eats 7", n_best=3).splitlines()
    assert len(lines) == 3
    scores = [float(line.split("\t")[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)


def test_a_file_with_targets_is_evaluated_with_another_search(config: Any, run: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.jsonl"
    records = [{"en": SOURCES[0], "de": [TARGETS[0], TARGETS[1]]}, {"en": SOURCES[2], "de": TARGETS[2]}]
    new.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    own = {"run": str(run), "input": str(new), "format": None, "ckpt": None, "backtest": None, "beam": 3}
    with open_dict(config):
        options = OmegaConf.merge(config, own, {"paths": {"output_dir": str(tmp_path / "test")}})
    (tmp_path / "test").mkdir()
    metrics = evaluate(options)  # type: ignore[arg-type]
    assert set(metrics) == {"test/loss", "test/perplexity", "test/wer", "test/exact_match"}
    rows = table_of(tmp_path / "test" / "outputs.csv")
    assert sorted(row["references"] for row in rows) == ["ein hund frisst", "ein mann schläft | ein mann isst"]


def test_options_of_sampling_draw_outputs(run: Path) -> None:
    lines = generated(run, "a dog eats 7", samples=5, temperature=2.0).splitlines()
    assert len(lines) == 5
    assert len(set(lines)) > 1
    assert generated(run, "a dog eats 7", samples=5, temperature=2.0).splitlines() == lines
    assert generated(run, "a dog eats 7", samples=5, temperature=2.0, seed=2).splitlines() != lines
    assert generated(run, "a dog eats 7", top_k=1) == generated(run, "a dog eats 7")
    assert len(generated(run, "a dog eats 7", temperature=2.0, max_length=1).split()) <= 1


def test_a_line_that_is_no_text_is_an_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a dog\na \xff dog\n"), encoding="utf-8"))
    with pytest.raises(ValueError, match=r"standard input: byte 0xff, in line 1 or below, is not utf-8"):
        generated(run, "")


def test_greedy_search_leaves_out_the_penalty_of_a_beam(run: Path) -> None:
    task, _ = load_trained(run / "checkpoints" / "best.ckpt")
    assert isinstance(task, Seq2Seq)
    task.search = Search(beam=3, coverage_penalty=0.2)
    set_search(task, {"beam": 1})
    assert task.search == Search()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 2, "temperature": 1.0}, "temperature= draws texts, beam= searches for them"),
        ({"length": 9}, "max_length= limits the outputs"),
        ({"beam": 2, "n_best": 3}, "n_best must be 1 to beam=2, got 3"),
        ({"beam": "many"}, "beam must be a whole number"),
        ({"coverage_penalty": 0.1}, "has no effect with beam=1"),
    ],
)
def test_a_wrong_search_is_refused(run: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generated(run, "a", **options)


def test_options_of_a_search_are_refused_for_a_model_that_writes_none(tmp_path: Path) -> None:
    train(composed(tmp_path, "cell.hidden_size=3", "trainer.limit_train_batches=1", *TINY, "logger=none"))
    (tmp_path / "new.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="n_best= is for models that write texts"):
        predicted(tmp_path, tmp_path / "new.jsonl", n_best=2)
