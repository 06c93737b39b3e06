"""A damaged or incomplete model folder is an error that names it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.cells import GRUCell
from seqmodels.errors import ConfigError
from seqmodels.models import SequenceClassifier
from seqmodels.training.fit import check_config
from seqmodels.training.model_folder import load_model, save_model
from tests.composing import composed

CELL = {"_target_": "seqmodels.cells.GRUCell", "_partial_": True, "hidden_size": 5}
MODEL = {"_target_": "seqmodels.models.SequenceClassifier", "cell": CELL}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = SequenceClassifier(partial(GRUCell, hidden_size=5), input_size=4, output_size=3)
    config = {"name": "x", "model": MODEL, "cell": CELL, **dict.fromkeys(("regularizers", "task", "data"), CELL)}
    sizes = {"input_size": 4, "output_size": 3}
    save_model(tmp_path, model, {"config": config, "sizes": sizes, "class_names": [], "preprocessing": None}, {})
    return tmp_path


def test_a_whole_folder_is_the_network_that_was_saved(folder: Path) -> None:
    assert load_model(folder)(torch.zeros(2, 7, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sizes": None}, "config.json has no sizes"),
        ({"model": "GRU"}, "config.json has no model"),
        ({"model": {"cell": CELL}}, "must have a _target_"),
        ({"model": {**MODEL, "backend": "${"}}, "model: no viable alternative"),
        ({"model": {**MODEL, "cell": {**CELL, "hidden_size": 6}}}, "holds other weights than those of its config.json"),
        ({"sizes": {"input_size": 4}}, "output_size must be given"),
        ({"sizes": {"input_size": 10**15, "output_size": 3}}, r"model \(seqmodels.models.SequenceClassifier\)"),
    ],
    ids=str,
)
def test_a_folder_whose_parts_do_not_fit_is_refused_by_what_is_wrong(
    folder: Path, change: dict[str, Any], reason: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ConfigError, match=reason):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[" * 9000, b"\xff\xfe{}", None])
def test_a_file_that_is_damaged_or_missing_is_refused_by_the_folder(
    folder: Path, name: str, content: bytes | None
) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize("part", ["data", "optimizer", "trainer", "callbacks"])
def test_a_part_that_is_taken_away_is_named(part: str, tmp_path: Path) -> None:
    config = composed(tmp_path, f"~{part}")
    with pytest.raises(ConfigError, match=rf"^{part} is missing: {part}=\.\.\. chooses one"):
        check_config(config)
