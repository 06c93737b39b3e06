"""What tests share: configurations are those that Hydra composes; tests with a fixture of their module are a group."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf, open_dict

from seqmodels.config.compose import compose
from tests.composing import TINY, composed


@pytest.fixture(scope="module")
def shared() -> int:
    return 3


@pytest.mark.parametrize("cell", ["GRUCell"])
def test_a_fixture_of_the_module_decides_the_process_before_the_cell(
    cell: str, shared: int, request: pytest.FixtureRequest
) -> None:
    marker = request.node.get_closest_marker("xdist_group")
    assert marker.args == ("tests/test_sharing.py",)


@pytest.mark.parametrize("cell", ["GRUCell"])
def test_a_cell_decides_the_process_of_other_tests(cell: str, request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("xdist_group").args == ("GRUCell",)


@pytest.mark.parametrize(
    "overrides",
    [
        [*TINY, "cell=gru", "cell.hidden_size=5", "test=false", "data.seed=4", "paths.data_dir='/a b/c'", "logger=csv"],
        ["callbacks.early_stopping.patience=2", "callbacks.early_stopping=null"],
        ["trainer.max_epochs=3", "+data.extra=3", "optimizer=sgd", "trainer.max_epochs=2"],
    ],
    ids=["values", "a part that goes", "a key that is added"],
)
def test_what_tests_compose_is_what_hydra_composes(overrides: list[str], tmp_path: Path) -> None:
    expected = compose("train", [*overrides, "name=test", "run_name=test", f"paths.output_dir='{tmp_path}'"])
    with open_dict(expected):
        del expected["hydra"]
    found = composed(tmp_path, *overrides)
    assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
    assert OmegaConf.is_struct(found)
