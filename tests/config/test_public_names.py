"""Files that are kept name objects by what packages export, so that modules can move."""

import pytest
import yaml

from seqmodels.config.files import config_folder
from seqmodels.training.renamed import RENAMED, with_public_names
from tests.public import is_public, private_targets

FILES = sorted(path.relative_to(config_folder()) for path in config_folder().rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_configuration_names_public_objects_alone(file: object) -> None:
    assert private_targets(yaml.safe_load((config_folder() / str(file)).read_text("utf-8"))) == []


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_has_a_public_one(old: str) -> None:
    assert is_public(RENAMED[old])
    assert with_public_names({"a": [{"_target_": old, "b": 1}]}) == {"a": [{"_target_": RENAMED[old], "b": 1}]}


def test_the_name_of_a_file_is_not_public() -> None:
    assert private_targets([{"_target_": "seqmodels.cells.lstm.LSTMCell"}]) == ["seqmodels.cells.lstm.LSTMCell"]
