"""Every command reports a typo at once: the nearest valid name, status 2, no slow imports."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("typos")  # one process answers them all
TYPOS = [
    ("trian", "did you mean 'train'?"),
    ("train cell=lsmt", "did you mean 'lstm'?"),
    ("train cel=lstm", "did you mean 'cell'?"),
    ("train cell.hiden_size=3", "did you mean 'hidden_size'?"),
    ("train seed=" + "9" * 5000, "overrides look like key=value"),
    ("train " + "x" * 5000 + "=1", "the configuration has no key 'xxx"),
    ("train ~trainer trainer.max_epochs=3", "no trainer is chosen; trainer=... chooses one, of cpu, ddp"),
    ("train seed=one", "seed must be a number"),
    ("train lstm", "'lstm', which has no '='"),
    ("train --epochs 5", "keys have no dashes: epochs=VALUE"),
    ("train cell=LSTM", "did you mean 'lstm'?"),
    ("train cell=rnn", "did you mean 'elman'?"),
    ("train cell=leaky", "a class of your own is cell._target_=mymodule.MyClass"),
    ("train run_dir=here", "did you mean 'hydra.run.dir'?"),
    ("train data=my.csv", "read by data=text_csv, data=csv_sequences or data=csv_series with data.path=my.csv"),
    ("train data.path=my.csv", "data.path needs data of your own: data=text_csv"),
    ("train label=y", "data.label needs data of your own: data=text_csv"),
    ("train epochs=5", "did you mean 'trainer.max_epochs'?"),
    ("train -m max_epochs=5,6", "did you mean 'trainer.max_epochs'?"),
    ("train lr=1", "did you mean 'optimizer.lr'?"),
    ("train optimizer.learning_rate=1", "did you mean 'optimizer.lr'?"),
    ("train +lr=1", "adds a key 'lr'; did you mean 'optimizer.lr'?"),
    ("train model.hidden_size=3", "did you mean 'cell.hidden_size'?"),
    ("train batch_size=3", "did you mean 'data.batch_size'?"),
    ("train gpus=2", "did you mean 'trainer.devices'?"),
    ("train front=convolution dropout=0.1", "did you mean 'model.dropout'?"),
    ("train num_layers=2", "did you mean 'model.depth'?"),
    ("train scheduler=plateau patience=3", "did you mean 'callbacks.early_stopping.patience'?"),
    ("train data=csv_series data.file=x", "did you mean 'data.path'?"),
    ("train data=csv", "did you mean one of csv_sequences, csv_sequences_regression, csv_series, text_csv,"),
    ("train model=gru", "did you mean 'cell=gru'?"),
    ("train callbacks.x._target_=y.Z", "+callbacks.x._target_=... adds it"),
    ("train cell=own", "cell._target_ must be given"),
    ("train scheduler._target_=a.B scheduler.gamma=1", "+scheduler.gamma=... adds it"),
    ("train ~task.class_weights", "it is null already; task.class_weights=VALUE sets it"),
    ("train -m initializer=null,chrono", "initializer=null cannot be one of several values"),
    ("predict run=r inptu=a.csv", "did you mean 'input'?"),
    ("predict rnu=r input=a.csv", "did you mean 'run'?"),
    ("predict run=nowhere input=a.csv", "run=nowhere: there is no such folder"),
    ("generate run=r temprature=1", "did you mean 'temperature'?"),
    ("generate run=r seed=hot", "seed must be a number"),
    ("generate run=r prompt=caf\udce9", "prompt: the text after 'caf' is not utf-8"),
    ("generate run=nowhere", "run=nowhere: there is no such folder"),
    ("evaluate run=nowhere", "run=nowhere: there is no such folder or file"),
    ("sweep sweep=tpee", "did you mean 'tpe'?"),
    ("sweep sweep.trails=3", "did you mean 'trials'?"),
    ("sweep-report dri=x", "did you mean 'dir'?"),
    ("sweep-report", "needs the folder of a sweep"),
    ("data lits", "did you mean 'list'?"),
    ("data verify mnits", "did you mean 'mnist'?"),
    ("data verify mnist pths.data_dir=x", "did you mean 'paths'?"),
]
CODE = """
import json, sys
from contextlib import redirect_stderr
from io import StringIO
from seqmodels.cli import run

answers = {}
for line in json.load(sys.stdin):
    with redirect_stderr(StringIO()) as said:
        status = run(line.split())
    slow = {'torch', 'lightning', 'numpy', 'optuna'} & set(sys.modules)
    answers[line] = status, said.getvalue(), sorted(slow), len(sys.modules)
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give all lines to one process that begins in an empty folder, and to which nothing slow may be added."""
    folder = tmp_path_factory.mktemp("empty")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps([line for line, _ in TYPOS]),
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "a warning"
    assert not list(folder.iterdir()), "nothing is written"
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize(("line", "hint"), TYPOS)
def test_a_typo_is_answered_at_once_with_the_nearest_name(line: str, hint: str, answers: dict[str, Any]) -> None:
    status, said, slow, modules = answers[line]
    assert (status, slow) == (2, [])
    assert modules < 700, "about as many as Hydra's alone; those of training are 4000"
    assert hint in said
    assert "Traceback" not in said
