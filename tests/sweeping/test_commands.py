"""``seqmodels sweep`` and ``seqmodels sweep-report`` on the command line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from seqmodels.cli import run
from seqmodels.config.compose import compose
from seqmodels.config.experiment_file import write_experiment
from seqmodels.config.files import config_folder
from seqmodels.config.quoting import quoted

pytestmark = pytest.mark.xdist_group("finished sweep")  # it is trained once
TINY = ["trainer=cpu", "trainer.max_epochs=2", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1"]
OTHER = "o'ther, two"  # a folder
EMPTY = ["sweep/space=empty", "cell.hidden_size=5"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder of a small sweep with one failing trial, and its status."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("sweep"))
    try:
        space = "+sweep.space={cell:[elman,gru],optimizer.lr:[0.01,1e38]}"
        arguments = ["experiment=digits_lstm", "sweep=grid", "sweep.dir=found here", *EMPTY, space, *TINY]
        status = run(["sweep", *arguments, "sweep.confirm_seeds=1", "sweep.confirm_top=1", "sweep.storage=journal"])
        return Path("found here").absolute(), status
    finally:
        os.chdir(here)


def plain(config: DictConfig) -> dict[str, Any]:
    """Return the configuration without paths and without the sweep's own overrides."""
    with open_dict(config):
        for key in ("hydra", "paths", "test", "callbacks", "logger", "name"):
            config.pop(key)
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def test_every_trial_is_an_ordinary_run_with_the_command_that_repeats_it(finished: tuple[Path, int]) -> None:
    folder, _ = finished
    trial = folder / "trials" / "0000"
    assert {path.name for path in trial.iterdir()} >= {".hydra", "config.yaml", "metrics.json", "model", "checkpoints"}
    assert "val/loss" in json.loads((trial / "metrics.json").read_text())
    command = (trial / "command.sh").read_text()
    assert command.startswith("seqmodels train test=false logger=csv callbacks.progress=null ")
    assert " callbacks.resume_points=null experiment=digits_lstm " in command
    assert "cell=elman optimizer.lr=0.01" in command
    ran = json.loads((trial / "environment.json").read_text())["command"]
    assert ran[1:4] == ["train", "test=false", "logger=csv"]


def test_a_trial_that_fails_is_a_row_with_its_cause_and_the_status_is_1(finished: tuple[Path, int]) -> None:
    folder, status = finished
    assert status == 1
    rows = (folder / "trials.csv").read_text().splitlines()
    assert len(rows) == 5
    assert sum(",fail," in row for row in rows) == 2
    assert "RuntimeError: value cannot be converted" in rows[2]
    assert "RuntimeError" in (folder / "trials" / "0001" / "train.log").read_text()


def test_the_best_is_an_experiment_that_composes_to_what_the_trial_trained(finished: tuple[Path, int]) -> None:
    folder, _ = finished
    best = compose("train", ["experiment=best"], str(folder))
    number = int((folder / "experiment" / "best.yaml").read_text().split("# trial ")[1].split()[0])
    lines = OmegaConf.load(folder / "trials" / f"{number:04d}" / ".hydra" / "overrides.yaml")
    assert plain(best) == plain(compose("train", [str(line) for line in lines]))


def test_the_best_and_the_default_are_tested_with_further_seeds(finished: tuple[Path, int]) -> None:
    folder, _ = finished
    names = sorted(path.name for path in (folder / "confirmation").iterdir())
    assert len(names) == 2
    assert names[1] == "default_seed_2"
    assert "test/accuracy" in json.loads((folder / "confirmation" / names[0] / "metrics.json").read_text())


def test_the_page_holds_its_plots_and_fetches_nothing(finished: tuple[Path, int]) -> None:
    page = (finished[0] / "page.html").read_text(encoding="utf-8")
    for title in ("History of val/loss", "Importance for val/loss", "Parallel coordinates", "Slices", "All trials"):
        assert title in page
    assert page.count('class="plot"') >= 5
    for fetching in ("<script src", "<link", "<img", "@import url"):
        assert fetching not in page


def test_a_report_is_made_again_of_the_folder_alone(
    finished: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = finished
    (folder / "page.html").unlink()
    assert run(["sweep-report", f"dir={folder}"]) == 1
    shown = capsys.readouterr().out
    assert "best trials" in shown
    assert "with further seeds" in shown
    assert "2 complete, 2 fail" in shown
    assert "experiment=best" in shown
    assert (folder / "page.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "sweep=tpee"], "no such option; did you mean 'tpe'?"),
        (["sweep", "sweep.trails=3"], "has no key 'trails'; did you mean 'trials'?"),
        (["sweep", *EMPTY], "sweep.space is empty"),
        (["sweep", *EMPTY, "+sweep.space={optimizer.lrr:[1,2]}"], "did you mean 'lr'?"),
        (["sweep", *EMPTY, "+sweep.space={cell:[gru,lsmt]}"], "cell=lsmt: no such option; did you mean 'lstm'?"),
        (["sweep", *EMPTY, "+sweep.space={cell.activation:[tanh]}"], "has no key 'activation'"),
        (["sweep", *EMPTY, "+sweep.space={data.batch_size:[8,1.5]}"], "batch_size must be a whole number, got 1.5"),
        (["sweep", *EMPTY, "+sweep.space={seed:[1]}", "sweep.sampler._target_=os.system"], "not on the list"),
        (["sweep", *EMPTY, "+sweep.space={seed:[1]}", "trainer=ddp_sim"], "trains each trial in one process"),
        (["sweep", "cell=gru", "cell.hidden_size=5", "optimizer.lr=1"], "sweep.space is empty"),
        (["sweep", "-m", "cell=gru,lstm"], "has no --multirun"),
        (["sweep-report"], "needs the folder of a sweep"),
        (["sweep-report", "dri=x"], "dri is not known"),
        (["sweep-report", "dir=nowhere"], "is not the folder of a sweep"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_before_the_first_trial(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("trials"))


def test_overrides_become_an_experiment_and_what_a_file_cannot_hold_is_given_beside_it(tmp_path: Path) -> None:
    overrides = [
        "experiment=parity",
        "cell=lstm",
        "cell=gru",
        "cell.hidden_size=7",
        "logger=[csv]",
        "~data.num_workers",
    ]
    overrides += ["+trainer.max_time='00:01:00:00'", "cell.hidden_size=9"]
    path = tmp_path / "experiment" / "mine.yaml"
    assert write_experiment(path, overrides, ["about it"], None) == ["~data.num_workers"]
    assert path.read_text().startswith("# @package _global_\n# about it\n")
    written = plain(compose("train", ["experiment=mine"], str(tmp_path)))
    assert written == plain(compose("train", [o for o in overrides if not o.startswith("~")]))
    assert written["cell"]["_target_"].endswith("GRUCell")


def test_an_experiment_of_options_of_ones_own_is_trained_by_the_command_that_is_printed(tmp_path: Path) -> None:
    for folder, option in (("my", "mine"), (OTHER, "other")):
        (tmp_path / folder / "cell").mkdir(parents=True)
        shutil.copy(config_folder() / "cell" / "gru.yaml", tmp_path / folder / "cell" / f"{option}.yaml")
    overrides = ["cell=mine", f"hydra.searchpath={quoted([str(tmp_path / OTHER)])}", "cell.hidden_size=5"]
    rest = write_experiment(tmp_path / "experiment" / "best.yaml", overrides, [], str(tmp_path / "my"))
    for line, option in ((None, "mine"), ("cell=other", "other")):
        best = compose("train", ["experiment=best", *rest, *([line] if line else [])], str(tmp_path))
        assert best.hydra.runtime.choices["cell"] == option
        assert best.cell.hidden_size == 5
