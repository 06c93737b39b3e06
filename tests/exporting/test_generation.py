"""`seqmodels generate`: the output of the network, for any number of samples, reproducible by seed."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from seqmodels.data import CharacterLearner, TextPreprocessing, WordLearner
from seqmodels.data.formats.text_files import DocumentFormat
from seqmodels.errors import ConfigError
from seqmodels.exporting.generation import write_samples
from seqmodels.exporting.writing import continuations, until_all_end
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.fit import train
from tests.composing import TINY, composed
from tests.conftest import Answer

SMALL = ["cell.hidden_size=7", "model.embedding_size=5", "trainer.limit_train_batches=3", "logger=none", "data.bptt=9"]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "own.txt"
    path.write_text("the cat sat on the mat, \u20ac 5.\nthe dog ran.\n" * 40)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    """The folder of a small finished run on a custom text."""
    folder = tmp_path_factory.mktemp("run")
    own = ["data=text", f"data.path='{text}'", f"data.cache_dir='{folder / 'cache'}'", "data.batch_size=3"]
    train(composed(folder, *own, *TINY, *SMALL))
    return folder


def written(run: Path, prompt: str = "", **options: Any) -> str:
    base = {"run": str(run), "length": 23, "temperature": 1.0, "top_k": None, "top_p": None}
    base |= {"samples": 1, "seed": 1, "ckpt": "best", "accelerator": "cpu", "threads": 1}
    out = io.StringIO()
    write_samples(OmegaConf.create({**base, **options}), prompt, out)
    return out.getvalue()


def test_the_same_seed_writes_the_same_text_and_another_another(run: Path) -> None:
    assert written(run, seed=5, length=60) == written(run, seed=5, length=60)
    assert written(run, seed=5, length=60) != written(run, seed=6, length=60)


def test_a_longer_text_begins_with_the_shorter_one(run: Path) -> None:
    long, short = written(run, prompt="the ", length=30), written(run, prompt="the ", length=11)
    assert long.startswith(short.rstrip("\n"))
    assert short.startswith("the ")


def test_without_temperature_each_token_is_the_likeliest_after_the_whole_text_before_it(run: Path) -> None:
    task, recipe = load_trained(run / "checkpoints" / "best.ckpt")
    model: Any = task.model
    prompt = torch.tensor([2, 5, 7])
    rows = list(continuations(model, prompt, 12, 3, lambda scores: scores.argmax(-1)))
    assert all(row == [row[0]] * 3 for row in rows)
    tokens = torch.cat([prompt, torch.tensor([row[0] for row in rows])])
    scores, _ = model(tokens[None])
    assert scores[0, 2:-1].argmax(-1).tolist() == tokens[3:].tolist()
    assert recipe["preprocessing"]["_target_"] == "seqmodels.data.TextPreprocessing"


def test_several_samples_come_one_after_the_other_and_differ(run: Path) -> None:
    parts = written(run, samples=3, prompt="the ", length=40).split("--- ")
    assert [part[:6] for part in parts[1:]] == ["1 ---\n", "2 ---\n", "3 ---\n"]
    texts = [part[6:] for part in parts[1:]]
    assert len(set(texts)) == 3
    assert all(text.startswith("the ") for text in texts)


def test_what_a_model_does_not_know_of_a_prompt_is_counted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(run, prompt="a Q\u2603", length=2).startswith("a Q\u2603")
    assert "2 of 5 tokens of the prompt are unknown to the model" in capsys.readouterr().err
    written(run, prompt="the cat", length=2)
    assert capsys.readouterr().err == ""


def test_generation_stops_once_all_texts_have_ended() -> None:
    steps = [[4, 1], [1, 5], [6, 7], [8, 9]]
    assert list(until_all_end(steps, 1)) == steps[:2]
    assert list(until_all_end(steps, None)) == steps


@pytest.mark.parametrize(
    ("unit", "words", "end"), [("line", True, 2), ("line", False, 2), ("file", False, 2), ("file", True, None)]
)
def test_a_text_ends_with_its_document_if_its_end_is_no_line_end_too(unit: Any, words: bool, end: int | None) -> None:
    vocabulary = (WordLearner if words else CharacterLearner)(eos=True).learn(["a b"])
    form = DocumentFormat(unit=unit)._asdict()
    text = TextPreprocessing(vocabulary=vocabulary, start=2, ends=True, line_ends=words, documents=form)
    assert text.end == end


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length must be a positive whole number, got 0"),
        ({"samples": 1.5}, "samples must be a positive whole number, got 1.5"),
        ({"temperature": -1}, "temperature must not be negative"),
        ({"top_p": 2.0}, r"top_p must lie in \(0, 1\], got 2.0"),
        ({"top_k": "many"}, "top_k must be a whole number or null, got 'many'"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"ckpt": "worst"}, "ckpt=worst: there is no file"),
        ({"accelerator": "abacus"}, "accelerator=abacus"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, Any], message: str, run: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        written(run, **options)


def test_a_run_without_a_language_model_is_refused(tmp_path: Path) -> None:
    train(composed(tmp_path, "cell.hidden_size=5", *TINY, "logger=none"))
    with pytest.raises(ConfigError, match="holds no language model but a SequenceClassifier"):
        written(tmp_path)


def test_the_command_takes_a_prompt_as_it_stands_and_from_a_pipe(
    run: Path, command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "the cat, 'sat' = {on} ${x} \u20ac"
    line = ["generate", f"run={run}", "length=5"]
    given = command(*line, f"prompt={prompt}")
    assert given.out.startswith(prompt), given.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(prompt.encode())))
    assert command(*line, "prompt=-").out == given.out
