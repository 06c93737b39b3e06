"""Typed names are trusted, names in files from elsewhere must be allowed; both must be of the kind of their place."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from seqmodels.cli import run as run_command
from tests.composing import TINY

CELL = '''
from seqmodels.cells import GRUCell


class MyCell(GRUCell):
    """A GRU under a custom name."""


def function(x):
    return x
'''
QUICK = [*TINY, "cell.hidden_size=3", "logger=none"]
TYPED = ["cell._target_=own_cells.MyCell"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a custom module that only a trusting command can import."""
    monkeypatch.delenv("SEQMODELS_ALLOW", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own_cells.py").write_text(CELL, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "own_cells", raising=False)
    return folder


def refusal(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run_command(tokens) == 2
    return capsys.readouterr().err


def test_a_cell_is_used_as_typed_and_neither_the_environment_nor_the_path_keeps_it() -> None:
    path = list(sys.path)
    assert run_command(["train", *TYPED, *QUICK]) == 0
    assert (sys.path, os.environ.get("SEQMODELS_ALLOW")) == (path, None)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("optimizer._target_=os.system", "torch.optim.Optimizer"),
        ("optimizer._target_=torch.nn.Linear", "torch.optim.Optimizer"),
        ("cell._target_=torch.nn.Linear", "seqmodels.cells.Cell"),
        ("cell._target_=own_cells.function", "seqmodels.cells.Cell"),
        ("+callbacks.x={_target_:own_cells.MyCell}", "lightning.pytorch.Callback"),
        ("task._target_=own_cells.MyCell", "seqmodels.tasks.Task"),
    ],
)
def test_what_is_typed_must_be_of_the_kind_of_its_place(
    line: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refusal(["train", line, *TINY], capsys)
    assert f"is not a {kind}" in error, error
    assert "Traceback" not in error


def test_files_of_others_need_what_the_message_prints(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["train", *TYPED, *QUICK, "hydra.run.dir=run"]) == 0
    (project / "run" / "metrics.json").unlink()
    records = project / "new.jsonl"
    records.write_text('{"series": [[0, 0, 0, 0, 0, 0, 0, 0]]}\n')
    for tokens in (
        ["evaluate", "run=run"],
        ["predict", "run=run", "input=new.jsonl", "output=out.jsonl"],
        ["train", "resume=run", "trainer.max_epochs=2"],
    ):
        error = refusal(tokens, capsys)
        assert "allow=own_cells.*" in error
        assert run_command([*tokens, "allow=own_cells.*"]) == 0


def test_configurations_inside_of_the_current_folder_are_ones_own_those_outside_are_not(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / "conf" / "cell"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: own_cells.MyCell\n_partial_: true\nhidden_size: 3\n")
    assert run_command(["train", "--config-dir", "conf", "cell=mine", *QUICK]) == 0
    shutil.move(project / "conf", project.parent / "theirs")
    (project.parent / "theirs" / "experiment").mkdir()
    (project.parent / "theirs" / "experiment" / "x.yaml").write_text("# @package _global_\nallow: own_cells.*\n")
    theirs = ["train", "--config-dir", "../theirs", "experiment=x", "cell=mine", *QUICK]
    assert "allow=own_cells.*" in refusal(theirs, capsys)
    assert run_command([*theirs, "allow=own_cells.*"]) == 0


def test_only_allow_gives_patterns(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "conf" / "experiment").mkdir(parents=True)
    node = "{_target_: 'own_cells.*', other: {_target_: 'x,own_cells.*'}}"
    (project / "conf" / "experiment" / "x.yaml").write_text(f"# @package _global_\nspare: {node}\n")
    (project.parent / "theirs" / "cell").mkdir(parents=True)
    (project.parent / "theirs" / "cell" / "mine.yaml").write_text("_target_: own_cells.MyCell\nhidden_size: 3\n")
    places = ["--config-dir", "conf", "hydra.searchpath=[file://../theirs]"]
    refusal(["train", *places, "experiment=x", *QUICK], capsys)
    assert "allow=own_cells.*" in refusal(["train", *places, "cell=mine", *QUICK], capsys)


@pytest.mark.long
def test_a_folder_of_any_name_trains_resumes_evaluates_and_sweeps(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "o'brien=1, x\\'y"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run_command(["train", *QUICK]) == 0
    (run,) = (folder / "logs" / "classification").iterdir()
    (run / "metrics.json").unlink()
    assert run_command(["train", "resume=auto", *QUICK]) == 0
    assert run_command(["train", "-m", "cell.hidden_size=2,3", *TINY, "logger=none"]) == 0
    search = ["sweep", "sweep.trials=1", "sweep/space=empty", "+sweep.space={cell.hidden_size:[2,3]}", *TINY]
    assert run_command(search) == 0
    assert run_command(["evaluate", f"run={run}"]) == 0
