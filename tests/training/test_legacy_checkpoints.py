"""Checkpoints and runs of older versions, created by ``legacy/make.py``, with the outputs of their networks."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from seqmodels.exporting.answers import flatten_record
from seqmodels.exporting.generation import write_samples
from seqmodels.exporting.prediction import predict
from seqmodels.training.checkpoint_format import FORMAT
from seqmodels.training.checkpoint_reading import read_checkpoint
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.fit import train
from seqmodels.training.model_folder import load_model
from tests.composing import PLAIN, TINY, composed
from tests.conftest import TOLERANCE

FOLDER = Path(__file__).parent / "legacy"
KEPT = sorted(FOLDER.glob("*.ckpt"))


def test_every_version_is_kept() -> None:
    versions = {torch.load(path, weights_only=True).get("format", 0) for path in KEPT}
    assert versions == set(range(FORMAT + 1))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_checkpoint_of_any_version_says_what_it_said(path: Path) -> None:
    task, recipe = load_trained(path)
    x, lengths = torch.arange(2 * 5 * 8).reshape(2, 5, 8).sin(), torch.tensor([5, 3])
    expected = torch.tensor(json.loads(path.with_suffix(".json").read_text("utf-8")))
    torch.testing.assert_close(task.model(x, lengths), expected, **TOLERANCE[expected.dtype])
    assert set(recipe) == {"config", "sizes", "class_names", "preprocessing"}
    assert read_checkpoint(path)["format"] == FORMAT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_training_goes_on_from_a_checkpoint_of_any_version(path: Path, tmp_path: Path) -> None:
    steps = torch.load(path, weights_only=True)["global_step"]
    overrides = [*TINY, "data=digits", *PLAIN, "cell=lstm", "cell.hidden_size=3", "logger=none"]
    overrides.append("trainer.max_epochs=2")
    train(composed(tmp_path, *overrides, f"ckpt_path='{path}'"))
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == steps + 1


OLD_RUNS = sorted((FOLDER / "format_1").iterdir())
"""Runs of format 1, whose recipes hold module paths, with the outputs of ``predict`` and ``generate``."""


@pytest.mark.parametrize("run", OLD_RUNS, ids=lambda path: path.name)
def test_a_run_of_format_1_predicts_what_it_predicted(run: Path, tmp_path: Path) -> None:
    options = {"run": str(run), "ckpt": str(run / "best.ckpt"), "threads": 1}
    if (run / "generated.txt").exists():
        drawing = {"length": 40, "samples": 1, "temperature": 0.8, "top_k": None, "top_p": None, "seed": 3}
        write_samples(OmegaConf.create({**options, **drawing, "accelerator": "cpu"}), "the cat", out := io.StringIO())
        assert out.getvalue() == (run / "generated.txt").read_text("utf-8")
        return
    (source,) = run.glob("new.*")
    output = tmp_path / "out.jsonl"
    reading: dict[str, Any] = {"input": str(source), "output": str(output), "format": None, "keep": [], "strict": True}
    predict(OmegaConf.create({**options, **reading, "batch_size": 2, "accelerator": "cpu"}))
    predicted, expected = lines(output), lines(run / "predicted.jsonl")
    assert [list(line) for line in predicted] == [list(line) for line in expected]
    for line, expected_row in zip(predicted, expected, strict=True):
        for name, value in expected_row.items():
            assert line[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)


@pytest.mark.parametrize("run", OLD_RUNS, ids=lambda path: path.name)
def test_the_model_folder_of_format_1_holds_the_same_network(run: Path) -> None:
    model, trained = load_model(run / "model"), load_trained(run / "best.ckpt")[0].model
    assert type(model) is type(trained)
    for name, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def lines(path: Path) -> list[dict[str, Any]]:
    return [flatten_record(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
