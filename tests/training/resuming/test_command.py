"""``seqmodels train resume=``: which run is resumed, and with what configuration."""

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from seqmodels.commands.resume import resume_tokens
from seqmodels.config.changes import check_unchanged
from seqmodels.config.compose import compose
from seqmodels.errors import ConfigError
from seqmodels.training.runs import prepare_run_folder, resolved_config
from tests.composing import composed


def started_run(logs: Path, name: str, *overrides: str, config_dir: Path | None = None) -> Path:
    """Create a run folder as it is right after the start."""
    folder = logs / "classification" / name
    (folder / ".hydra").mkdir(parents=True)
    lines = [*overrides, f"paths.log_dir='{logs}'"]
    sources = [{"path": str(config_dir), "provider": "command-line"}] if config_dir else []
    node = {"overrides": {"task": lines, "hydra": []}, "runtime": {"config_sources": sources}}
    OmegaConf.save({"hydra": node}, folder / ".hydra" / "hydra.yaml")
    config = composed(folder, f"paths.log_dir='{logs}'", *overrides, "name=classification")
    prepare_run_folder(folder, resolved_config(config))
    return folder


def test_a_run_goes_on_with_its_own_overrides_in_its_own_folder(tmp_path: Path) -> None:
    folder = started_run(tmp_path, "one", "cell=gru", "cell.hidden_size=7")
    tokens = resume_tokens([f"resume={folder}", "trainer.max_epochs=50"])
    config = compose("train", tokens)
    assert (config.cell.hidden_size, config.trainer.max_epochs, config.hydra.run.dir) == (7, 50, str(folder))
    assert config.cell._target_.endswith("GRUCell")
    assert config.resume == str(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("cell.hidden_size=9", "cell.hidden_size: 7 -> 9"),
        ("cell=elman", "cell._target_: 'seqmodels.cells.GRUCell' -> 'seqmodels.cells.ElmanCell'"),
        ("data.batch_size=3", "data.batch_size: 32 -> 3"),
        ("seed=8", "seed: 1 -> 8"),
        ("trainer.max_epochs=2", "trainer.max_epochs: 30 -> 2"),
        ("+trainer.val_check_interval=2", "trainer.val_check_interval: absent -> 2"),
    ],
)
def test_what_decides_the_outcome_cannot_change_unless_it_is_accepted(change: str, named: str, tmp_path: Path) -> None:
    folder = started_run(tmp_path, "one", "cell=gru", "cell.hidden_size=7", "trainer.max_epochs=30")
    before = (folder / ".hydra" / "hydra.yaml").read_text()
    with pytest.raises(ConfigError) as refusal:
        resume_tokens([f"resume={folder}", change])
    assert named in str(refusal.value)
    assert str(refusal.value).count(named) == 1
    assert (folder / ".hydra" / "hydra.yaml").read_text() == before
    assert change in resume_tokens([f"resume={folder}", change, "accept_changes=true"])


@pytest.mark.parametrize(
    "change", ["data.num_workers=2", "threads=1", "test=false", "logger=none", "trainer.max_epochs=31"]
)
def test_what_does_not_decide_the_outcome_may_change(change: str, tmp_path: Path) -> None:
    folder = started_run(tmp_path, "one", "cell=gru")
    assert change in resume_tokens([f"resume={folder}", change])


def test_auto_takes_the_newest_unfinished_run_of_the_same_command(tmp_path: Path) -> None:
    command = ["cell=gru", "seed=3", f"paths.log_dir='{tmp_path}'", "resume=auto"]
    started_run(tmp_path, "another", "cell=gru", "seed=4")
    assert resume_tokens(command) == command[:-1]
    old, new, finished = (started_run(tmp_path, name, "cell=gru", "seed=3") for name in ("a", "b", "c"))
    (finished / "metrics.json").write_text("{}")
    for index, folder in enumerate((old, new, finished)):
        path = folder / ".hydra" / "hydra.yaml"
        os.utime(path, (index, index))
    tokens = resume_tokens(command)
    assert f"hydra.run.dir='{new}'" in tokens
    assert f"resume='{new}'" in tokens
    assert tokens.count("cell=gru") == 1


def test_latest_is_the_run_that_was_interrupted_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="resume=latest: there is no interrupted run in"):
        resume_tokens(["resume=latest"])
    old, new, finished = (started_run(tmp_path / "logs", name, f"cell={name}") for name in ("gru", "elman", "lstm"))
    (finished / "metrics.json").write_text("{}")
    for index, folder in enumerate((old, new, finished)):
        os.utime(folder, (index, index))
    tokens = resume_tokens(["resume=latest", "trainer.max_epochs=50"])
    assert {"cell=elman", "trainer.max_epochs=50", f"resume='{new}'"} <= {*tokens}


def test_auto_looks_into_the_folder_that_the_command_names(tmp_path: Path) -> None:
    command = [f"hydra.run.dir='{tmp_path / 'run'}'", "resume=auto"]
    assert resume_tokens(command) == command[:1]
    folder = started_run(tmp_path, "one", "cell=gru")
    tokens = resume_tokens([f"hydra.run.dir='{folder}'", "cell=gru", "resume=auto"])
    assert tokens[-2:] == [f"hydra.run.dir='{folder}'", f"resume='{folder}'"]


def test_the_users_own_configurations_are_found_again(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "cell").mkdir(parents=True)
    (own / "cell" / "mine.yaml").write_text("_target_: seqmodels.cells.LSTMCell\n_partial_: true\nhidden_size: 5\n")
    folder = tmp_path / "classification" / "one"
    (folder / ".hydra").mkdir(parents=True)
    node = {
        "overrides": {"task": ["cell=mine"], "hydra": []},
        "runtime": {"config_sources": [{"path": str(own), "provider": "command-line"}]},
    }
    OmegaConf.save({"hydra": node}, folder / ".hydra" / "hydra.yaml")
    assert resume_tokens([f"resume={folder}"])[:3] == ["--config-dir", str(own), "cell=mine"]


@pytest.mark.parametrize("content", [None, "", "hydra: 3", "hydra: {overrides: [", "\x00"])
def test_a_folder_without_a_run_is_refused_by_name(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / ".hydra").mkdir()
        (tmp_path / ".hydra" / "hydra.yaml").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        resume_tokens([f"resume={tmp_path}"])


def test_a_sweep_of_runs_cannot_go_on_as_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one run"):
        resume_tokens(["-m", "seed=1,2", f"resume={tmp_path}"])


def test_a_moved_run_has_not_changed(tmp_path: Path) -> None:
    one, other = (
        resolved_config(composed(tmp_path / name, f"paths.log_dir='{tmp_path}'")) for name in ("one", "other")
    )
    check_unchanged(one, other)


@pytest.mark.parametrize("data", ["digits", "sst2", "python_docs"])
def test_a_run_of_before_all_data_sets_had_the_same_options_has_not_changed(data: str, tmp_path: Path) -> None:
    now = resolved_config(composed(tmp_path, f"data={data}"))
    before = {**now, "data": {key: value for key, value in now["data"].items() if key not in ("drop_last", "empty")}}
    del before["run_name"]
    check_unchanged(before, now)
    now["data"]["drop_last"] = True
    with pytest.raises(ConfigError, match=r"data\.drop_last: False -> True"):
        check_unchanged(before, now)
