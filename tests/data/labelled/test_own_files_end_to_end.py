"""From your own file to an answer: evaluating a file equals predicting it and comparing with its targets."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Answer
from tests.data.formats.test_idx import idx
from tests.data.labelled.test_sequences import long, wide
from tests.data.labelled.test_series_files import classes, numbers

SMALL = ("trainer.max_epochs=1", "cell=gru", "cell.hidden_size=3", "logger=none", "hydra.run.dir=run", "batch_size=7")


def answers(command: Callable[..., Answer], path: Path, *tokens: str) -> tuple[list[dict[str, str]], dict[str, float]]:
    """Train on a file, and return the predictions for this file, and the metrics on it."""
    assert command("train", *tokens, *SMALL[:-1], "data.val_share=0.2").status == 0
    predicted = command("predict", "run=run", f"input={path}", "output=out.csv", SMALL[-1], "strict=true")
    assert predicted.status == 0, predicted.err
    evaluated = command("evaluate", "run=run", f"input={path}", "hydra.run.dir=evaluated")
    assert evaluated.status == 0, evaluated.err
    with Path("out.csv").open() as file:
        return list(csv.DictReader(file)), json.loads(Path("evaluated/metrics.json").read_text())


@pytest.mark.parametrize("suffix", ["ts", "wide", "long"])
def test_accuracy_of_a_file_is_that_of_its_predictions(
    suffix: str, command: Callable[..., Answer], tmp_path: Path
) -> None:
    if suffix == "ts":
        path, tokens = classes(tmp_path), ["data=ts_file"]
    elif suffix == "wide":
        path, tokens = wide(tmp_path), ["data=csv_sequences"]
    else:
        path, tokens = long(tmp_path), ["data=csv_sequences", "data.id=id", "data.time=time"]
    rows, metrics = answers(command, path, *tokens, f"data.path={path}")
    assert len(rows) == 20
    right = [row["class"] == row["label"] for row in rows]
    assert metrics["test/accuracy"] == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize("suffix", ["ts", "csv"])
def test_errors_of_a_file_are_those_of_its_predictions_in_units(
    suffix: str, command: Callable[..., Answer], tmp_path: Path
) -> None:
    if suffix == "ts":
        path, name, tokens = numbers(tmp_path), "target", ["data=ts_file_regression"]
    else:
        path, name = long(tmp_path, label="price"), "price"
        tokens = ["data=csv_sequences_regression", "data.target=price", "data.id=id", "data.time=time"]
    rows, metrics = answers(command, path, *tokens, f"data.path={path}")
    errors = [float(row[f"values.{name}"]) - float(row[name]) for row in rows]
    assert metrics["test/mae"] == pytest.approx(sum(map(abs, errors)) / len(errors), rel=1e-4)
    assert metrics["test/train_mean_mae"] > 0


def test_images_are_predicted_from_an_idx_file(command: Callable[..., Answer], tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "images.idx").write_bytes(idx(draw.integers(0, 256, (30, 4, 3)).astype(np.uint8)))
    (tmp_path / "labels.idx").write_bytes(idx(np.array([2, 5, 11] * 10, np.uint8)))
    tokens = ("data=idx", "data.images=images.idx", "data.labels=labels.idx")
    assert command("train", *tokens, *SMALL[:-1], "data.val_share=0.2").status == 0
    predicted = command("predict", "run=run", "input=images.idx", "output=out.csv")
    assert predicted.status == 0, predicted.err
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert {row["class"] for row in rows} <= {"2", "5", "11"}
