"""The name of a run says what it is, and fits into the name of its folder."""

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from seqmodels.config.compose import compose
from seqmodels.config.run_name import LONGEST, check_run_name
from seqmodels.errors import ConfigError


def name_of(*overrides: str, config_dir: Path | None = None) -> str:
    config = compose("train", [*overrides], str(config_dir) if config_dir else None)
    HydraConfig.instance().set_config(config)
    check_run_name(config)
    assert str(config.hydra.run.dir).endswith(f"_{config.run_name}")
    return str(config.run_name)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["cell=gru", "cell.hidden_size=64"], "gru-64-seed1"),
        (["cell=lstm_projected", "seed=7"], "lstm_projected-128-seed7"),
        (["cell=gru", "model.hidden_sizes=[128,64]"], "gru-128-64-seed1"),
        (["cell=gru", "model.hidden_sizes=[64,64]"], "gru-64x2-seed1"),
        (["cell=gru", "model.depth=3"], "gru-128x3-seed1"),
        (["experiment=mnist_elman"], "elman-128-64-seed1"),
        (["model=dense"], "dense-128-64-seed1"),
        (["cell._target_=mycells.MyCell"], "MyCell-128-seed1"),
        (["cell=gru", "cell.hidden_size='${oc.env:TOKEN}'", "model.depth=null"], "gru-seed1"),
        (["run_name='${hydra:runtime.choices.data} (a)'"], "digits (a)"),
        (["run_name=3"], "3"),
    ],
)
def test_a_run_is_named_by_its_cell_its_sizes_and_its_seed(
    overrides: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQMODELS_ALLOW", "mycells.*")
    monkeypatch.setenv("TOKEN", "hunter2-is-no-password")
    assert name_of(*overrides) == name


def test_options_of_a_folder_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "cell").mkdir()
    text = "_target_: seqmodels.cells.MGUCell\n_partial_: true\nhidden_size: 9\n"
    (tmp_path / "cell" / "mine.yaml").write_text(text)
    assert name_of("cell=mine", config_dir=tmp_path) == "mine-9-seed1"


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", "a\nb", "", "x" * (LONGEST + 1), None, ["a"], "${nothing}"])
def test_what_cannot_be_a_part_of_a_folders_name_is_refused(name: object) -> None:
    check_run_name(OmegaConf.create({"run_name": "a (b), c"}))
    with pytest.raises(ConfigError, match="run_name"):
        check_run_name(OmegaConf.create({"run_name": name}))
