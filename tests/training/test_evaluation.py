"""A run is tested with what was fitted in its training, on its own data or on another file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Answer

Command = Callable[..., Answer]
SMALL = [
    "cell=gru",
    "cell.hidden_size=3",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=none",
    "hydra.run.dir=logs/a/run",
]
TEXTS = "text,label\n" + "good,pos\nbad,neg\n" * 20


@pytest.fixture
def trained(command: Command) -> Command:
    """The command, in a folder with a run on ``my.csv``."""
    Path("my.csv").write_text(TEXTS)
    answer = command("train", "data=text_csv", "data.path=my.csv", *SMALL)
    assert answer.status == 0, answer.err
    return command


def test_data_that_have_changed_since_training_are_refused_naming_what_would_be_refitted(trained: Command) -> None:
    own = trained("evaluate", "run=latest", "data.batch_size=3", "hydra.run.dir=again")
    assert own.status == 0, own.err
    found = json.loads(Path("again/metrics.json").read_text())
    first = json.loads(Path("logs/a/run/metrics.json").read_text())
    assert found == pytest.approx({name: first[name] for name in found}, rel=1e-5)
    Path("my.csv").write_text(TEXTS + "fine,good\n" * 20)
    changed = trained("evaluate", "run=best:a")
    assert changed.status == 2
    assert "the data have changed since training, which would refit vocabulary, classes" in changed.err
    assert "input=FILE" in changed.err


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (["data.path=other.csv"], "data.path=other.csv: the data of a run cannot be changed"),
        (["data=digits"], "data=digits: the data of a run cannot be changed"),
        (["data.val_share=0.3"], "input=FILE tests on other data"),
        (["vocabulary=character"], "vocabulary comes from the checkpoint"),
        (["input=new.csv"], "labels that do not occur in the train split: 'fine' (new.csv, line 2)"),
        (["input=nowhere.csv"], "nowhere.csv cannot be read: No such file"),
        (["backtest=3"], "backtest= tests forecasts, and the model of this run makes none"),
    ],
)
def test_what_would_give_other_numbers_is_refused(tokens: list[str], reason: str, trained: Command) -> None:
    Path("new.csv").write_text("text,label\nfine,fine\n")
    answer = trained("evaluate", "run=logs/a/run", *tokens)
    assert answer.status == 2
    assert reason in answer.err


def test_a_run_without_a_test_split_is_tested_on_a_file(command: Command) -> None:
    Path("my.csv").write_text(TEXTS)
    answer = command("train", "data=text_csv", "data.path=my.csv", "data.test_share=0", *SMALL)
    assert "there is no test split" in answer.out + answer.err
    assert not any(name.startswith("test/") for name in json.loads(Path("logs/a/run/metrics.json").read_text()))
    none = command("evaluate", "run=logs/a/run")
    assert none.status == 2
    assert "there is no test split; input=FILE" in none.err
    assert command("evaluate", "run=logs/a/run", "input=my.csv").status == 0
