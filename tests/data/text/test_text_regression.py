"""Texts with numbers to predict: standardised for training, and read again from new files in their unit."""

import json
from pathlib import Path

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import DataModule, TextCSVRegressionData
from seqmodels.data.text.vocabulary_learning import WordLearner
from tests.conftest import TOLERANCE
from tests.datasets import ready


def stars(path: Path, last: str = "good,5") -> Path:
    path.write_text("text,stars\n" + "".join(f"film {row},{row % 5 + 0.5}\n" for row in range(40)) + f"{last}\n")
    return path


def data_of(path: Path) -> DataModule:
    return ready(TextCSVRegressionData, path=path, test_path=path, label="stars", vocabulary=WordLearner())


def test_numbers_are_standardised_by_the_train_split(tmp_path: Path) -> None:
    data = data_of(stars(tmp_path / "my.csv"))
    targets = data.split("train").targets
    torch.testing.assert_close(targets.mean(0), torch.zeros(1), **TOLERANCE[torch.float32])
    assert data.sizes["target_names"] == ["stars"]
    restored = data.split("test").targets * data.sizes["target_deviation"][0] + data.sizes["target_mean"][0]
    torch.testing.assert_close(restored[:7, 0], torch.tensor([0.5, 1.5, 2.5, 3.5, 4.5, 0.5, 1.5]))


def test_labelled_records_of_the_test_file_are_the_test_split(tmp_path: Path) -> None:
    data = data_of(stars(tmp_path / "my.csv"))
    fitted = build(json.loads(json.dumps(data.preprocessing)))
    lines = tmp_path / "new.jsonl"
    rows = [line.split(",") for line in (tmp_path / "my.csv").read_text().splitlines()[1:]]
    lines.write_text("".join(json.dumps({"text": text, "stars": float(number)}) + "\n" for text, number in rows))
    for path in (tmp_path / "my.csv", lines):
        split = fitted.labelled(fitted.read(str(path)), ())
        assert torch.equal(split.values, data.split("test").values)
        assert torch.equal(split.targets, data.split("test").targets)


@pytest.mark.parametrize("number", ["many", "nan", "inf"])
def test_a_label_that_is_no_number_is_refused_by_line(number: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"my.csv, line 42, stars: the target must be a finite number, got '{number}'"):
        data_of(stars(tmp_path / "my.csv", f"good,{number}"))
