"""Completion of command lines: the words, without slow imports, and the scripts in the shells themselves."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqmodels.commands.completion import following
from tests.conftest import Answer

LINES = {
    "seqmodels tra": ["train"],
    "seqmodels train cell=gru": ["cell=gru", "cell=gru_layer_norm", "cell=gru_reset_after"],
    "seqmodels train data=csv_series data.time": ["data.time=", "data.timezone="],
    "seqmodels train callbacks.early_stopping.pa": ["callbacks.early_stopping.patience="],
    "seqmodels train --help data=csv_ser": ["data=csv_series"],
    "seqmodels train test=": ["test=false", "test=true"],
    "seqmodels predict run=m": ["run=models/", "run=my.csv"],
    "seqmodels train --config-dir own data=my": ["data=mydata"],
}
"""Lines and the words that may stand in the place of their last one."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data file, a folder and an own configuration, and the command on the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").touch()
    (tmp_path / "models").mkdir()
    (tmp_path / "own" / "data").mkdir(parents=True)
    (tmp_path / "own" / "data" / "mydata.yaml").write_text("# mine\n_target_: seqmodels.data.DigitsData\n")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "seqmodels"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m seqmodels "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def shell(*command: str) -> str:
    """Run a shell that must succeed and say nothing else; return what it printed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train ~initial", ["~initializer"]),
        ("train +trainer.max_t", []),
        ("train ++trainer.max_e", ["++trainer.max_epochs="]),
        ("train trainer.strat", ["trainer.strategy="]),
        ("train trainer=ddp trainer.strat", ["trainer.strategy."]),
        ("train trainer.log_every_n_steps=", ["trainer.log_every_n_steps=10"]),
        ("train -m cell=elman,mi", ["cell=elman,min_gru", "cell=elman,min_lstm"]),
        ("train logger=[csv,te", ["logger=[csv,tensorboard"]),
        ("train resume=au", ["resume=auto"]),
        ("evaluate run=lat", ["run=latest"]),
        ("evaluate run=old callbacks.pro", ["callbacks.progress."]),
        ("predict inp", ["input="]),
        ("train data=nowhere data.", []),
        ("train 'unclosed data.batch_s", ["data.batch_size="]),
        ("train --multi", ["--multirun"]),
        ("train --help data=csv_ser", ["data=csv_series"]),
        ("sweep sweep/sp", ["sweep/space="]),
        ("data verify mni", ["mnist"]),
        ("data ver", ["verify"]),
        ("runs so", ["sort="]),
        ("runs delete latest y", ["yes="]),
        ("completion z", ["zsh"]),
        ("nothing x", []),
    ],
)
def test_the_words_that_may_follow(words: str, expected: list[str], folder: Path) -> None:
    (folder / "old").mkdir()
    (folder / "old" / "config.yaml").write_text("callbacks: {progress: {_target_: x}}\n")
    assert [word for word, _ in following(words.split(" "))] == expected


def test_words_come_with_the_comments_of_the_files_and_without_torch() -> None:
    code = (
        "import json, sys; from seqmodels.commands.completion import following\n"
        "from seqmodels.cli import run\n"
        "assert run(['completion', 'words', 'tra']) == 0 and 'hydra' not in sys.modules\n"
        "json.dump(following(['train', 'data=csv_series', 'data.hor']), sys.stdout)\n"
        "assert not {'torch', 'lightning', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    commands, _, words = done.stdout.partition("\n")
    assert commands.split("\t")[0] == "train"
    assert json.loads(words) == [["data.horizon=", "steps to forecast"]]


@pytest.mark.long
def test_bash_completes_also_behind_an_equals_sign(folder: Path) -> None:
    asked = [
        f"COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=(); _seqmodels seqmodels"
        for line in LINES
    ]
    script = 'eval "$(seqmodels completion bash)"; complete -p seqmodels\n'
    script += "\n".join(f'{line}; echo "${{COMPREPLY[*]}}"' for line in asked)
    registered, *answers = shell("bash", "--norc", "-c", script).splitlines()
    assert registered == "complete -F _seqmodels seqmodels"
    behind = [" ".join(word.rpartition("=")[2] or word for word in words) for words in LINES.values()]
    behind[2:4] = [" ".join(words) for words in list(LINES.values())[2:4]]
    assert answers == behind
    whole = shell("bash", "--norc", "-c", script.replace("eval", "COMP_WORDBREAKS=' '; eval", 1)).splitlines()[1:]
    assert whole == [" ".join(words) for words in LINES.values()]


def test_zsh_completes(folder: Path) -> None:
    stub = "compdef() { :; }; compadd() { shift $@[(i)--]; [[ $# -eq 0 ]] || print -r -- $@ }\n"
    stub += "ask() { words=($@); CURRENT=$#; PREFIX=$@[-1]; _seqmodels; print . }\n"
    script = f'{stub}eval "$(seqmodels completion zsh)"\n'
    script += "\n".join(f"ask {line.replace('[', chr(92) + '[')}" for line in LINES)
    answers = shell("zsh", "-f", "-c", script).split(".\n")
    assert [answer.split() for answer in answers[:-1]] == list(LINES.values())


def test_fish_completes(folder: Path) -> None:
    script = "seqmodels completion fish | source\n"
    script += "\n".join(f"complete -C {shlex.quote(line)} | cut -f 1; echo ." for line in LINES)
    answers = shell("fish", "--no-config", "-c", script).split(".\n")
    assert [sorted(answer.split()) for answer in answers[:-1]] == list(LINES.values())


def test_a_shell_must_be_named(command: Callable[..., Answer]) -> None:
    done = command("completion", "bsh")
    assert (done.status, "bash, zsh or fish; did you mean 'bash'?" in done.err) == (2, True)
