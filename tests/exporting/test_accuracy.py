"""The loss of accuracy by int8 is that of what was exported, on the validation part of the run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from seqmodels.config.build import plain
from seqmodels.exporting.accuracy import accuracy_lost
from seqmodels.training.checkpointing import load_trained
from seqmodels.training.evaluation import data_of_run
from tests.exporting.saved import Saved, texts


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    found = texts(tmp_path_factory.mktemp("accuracy"))
    (found.run / "config.yaml").touch()  # what makes a folder that of a run
    return found


def zeros(inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(inputs), 2)


def test_both_columns_are_metrics_of_the_validation_part(run: Saved) -> None:
    place = run.run / "checkpoints" / "best.ckpt"
    first, *lines = accuracy_lost(place, {"forward": zeros})
    found = {name: text.split() for name, _, text in (line.partition(": ") for line in lines)}
    task, recipe = load_trained(place)
    split: Any = data_of_run({"data": plain(recipe["config"]["data"]), "augmentation": None}, recipe).split("val")
    batch = split.__getitems__(range(len(split)))
    assert first == f"on {len(split)} rows of the validation part of data=text_csv:"
    with torch.no_grad():
        loss = F.cross_entropy(task.model(batch.inputs, batch.lengths), batch.targets)
    assert float(found["val/loss"][0]) == pytest.approx(float(loss), rel=1e-4)
    assert found["val/loss"][3] == "0.693147"
    assert {"val/accuracy", "val/f1"} <= set(found)


@pytest.mark.parametrize("place", ["model", "checkpoints/best.ckpt"])
def test_it_says_why_nothing_was_measured(run: Saved, place: str, tmp_path: Path) -> None:
    (lost,) = accuracy_lost(run.run / place, {})
    assert "not run by the graph or function alone" in lost
    (lost,) = accuracy_lost(tmp_path / "best.ckpt", {"forward": zeros})
    assert "lies in no run" in lost


def test_data_that_have_changed_are_not_measured_on(tmp_path: Path) -> None:
    own = texts(tmp_path)
    (own.run / "config.yaml").touch()
    (tmp_path / "texts.csv").write_text("text,label\n" + "other words,good\nno,bad\n" * 20, encoding="utf-8")
    (lost,) = accuracy_lost(own.run / "model", {"forward": zeros})
    assert lost.startswith("loss of accuracy not measured: data=text_csv: the data have changed since training")
