"""From a file of tagged sentences to tags for new ones, by the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from seqmodels.errors import ConfigError
from seqmodels.exporting.model import configured
from seqmodels.tasks.predictors.values import ValuePredictor
from tests.conftest import Answer

SMALL = (
    *("data.batch_size=8", "cell=gru", "cell.hidden_size=6", "model.embedding_size=6", "model.character_hidden_size=4"),
    *("model.character_embedding_size=4", "trainer.max_epochs=2", "optimizer.lr=0.05", "logger=none"),
)
SENTENCES = ("Ada Lovelace wrote", "she met Ada", "Charles Babbage answered Ada Lovelace", "nobody wrote")
NAMES = {"Ada": "B-PER", "Lovelace": "I-PER", "Charles": "B-PER", "Babbage": "I-PER"}
TAGS = {"B-PER", "I-PER", "O"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of two columns, whose tags are spans."""
    blocks = ("".join(f"{word} {NAMES.get(word, 'O')}\n" for word in text.split()) for text in SENTENCES * 6)
    path = tmp_path / "people.txt"
    path.write_text("-DOCSTART- O\n\n" + "\n".join(blocks))
    return path


def predicted(command: Callable[..., Answer], source: str, *tokens: str) -> list[dict[str, Any]]:
    answer = command("predict", "run=run", f"input={source}", "output=out.jsonl", *tokens)
    assert answer.status == 0, answer.err
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("crf", [False, True], ids=["independent", "crf"])
def test_a_file_of_columns_is_learnt_and_new_sentences_are_tagged(
    crf: bool, command: Callable[..., Answer], path: Path
) -> None:
    run = command("train", "data=tags", f"data.path={path}", *SMALL, f"model.crf={crf}", "hydra.run.dir=run")
    assert run.status == 0, run.err
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert {"test/accuracy", "test/span_precision", "test/span_recall", "test/span_f1", "test/loss"} <= set(metrics)
    assert run.err.count("reference: ") == 2 * 3 or run.out.count("reference: ") == 2 * 3, "three at each validation"

    # the suffix of the training file tells its columns, and tags are read beside tokens
    rows = predicted(command, "people.txt")
    assert rows[0]["tokens"] == ["Ada", "Lovelace", "wrote"]
    assert rows[0]["input.tags"] == ["B-PER", "I-PER", "O"]
    evaluated = command("evaluate", "run=run", "input=people.txt", "hydra.run.dir=evaluated", "ckpt=best")
    assert evaluated.status == 0, evaluated.err
    pairs = [pair for row in rows for pair in zip(row["tags"], row["input.tags"], strict=True)]
    accuracy = json.loads(Path("evaluated/metrics.json").read_text())["test/accuracy"]
    assert accuracy == pytest.approx(sum(one == other for one, other in pairs) / len(pairs))

    # texts are split into tokens, and lists of tokens are taken as they are
    Path("new.jsonl").write_text('{"id": 7, "text": "Ada wrote."}\n{"tokens": ["Ada", "wrote", "."]}\n{"text": " "}\n')
    one, other, empty = predicted(command, "new.jsonl", "probabilities=true")
    assert one["tokens"] == ["Ada", "wrote", "."]
    assert one["tags"] == other["tags"]
    assert one["id"] == 7
    assert set(one["probabilities"]) == TAGS
    assert sum(column[0] for column in one["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert not empty["tags"]
    Path("new.conllu").write_text("\t".join(["1", "Ada", *["_"] * 8]))
    (row,) = predicted(command, "new.conllu")
    assert row["tokens"] == ["Ada"]
    assert set(row["tags"]) <= TAGS


@pytest.mark.parametrize(
    ("content", "tokens", "reason"),
    [
        ("", (), "people.txt has no sentences: it is empty"),
        ("Ada B-PER\nLovelace\n", (), "people.txt, line 2: 1 columns, line 1 has 2"),
        ("Ada B-PER\n", ("data.tag=3",), "people.txt, line 1: there is not a tag for each token"),
        ("Ada B-PER\n", ("vocabulary=word",), "choose vocabulary=token"),
        ("Ada B-PER\n" * 9, ("task=classification",), "use task=tagging, or data= one of"),
    ],
)
def test_what_cannot_be_learnt_is_named(
    content: str, tokens: tuple[str, ...], reason: str, command: Callable[..., Answer], path: Path
) -> None:
    path.write_text(content)
    answer = command("train", "data=tags", f"data.path={path}", *tokens)
    assert answer.status == 2
    assert reason in " ".join(answer.err.split())


@pytest.mark.parametrize(("wanted", "reason"), [(True, "probabilities= is for taggers"), ("yes", "got 'yes'")])
def test_probabilities_are_true_or_false_and_for_taggers_alone(wanted: Any, reason: str) -> None:
    predictor = ValuePredictor(nn.Linear(1, 1))
    configured(predictor, {"probabilities": False})
    with pytest.raises(ConfigError, match=reason):
        configured(predictor, {"probabilities": wanted})
