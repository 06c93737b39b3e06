"""Every command reports a typo at once: the nearest valid name, status 2, no slow imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import processor_seconds

TYPOS = [
    ("trian", "did you mean 'train'?"),
    ("train cell=lsmt", "did you mean 'lstm'?"),
    ("train cel=lstm", "did you mean 'cell'?"),
    ("train cell.hiden_size=3", "did you mean 'hidden_size'?"),
    ("train seed=" + "9" * 5000, "overrides look like key=value"),
    ("train " + "x" * 5000 + "=1", "the configuration has no key 'xxx"),
    ("train ~trainer trainer.max_epochs=3", "no trainer is chosen; trainer=... chooses one, of cpu, ddp"),
    ("train seed=one", "seed must be a number"),
    ("predict run=r inptu=a.csv", "did you mean 'input'?"),
    ("predict rnu=r input=a.csv", "did you mean 'run'?"),
    ("predict run=nowhere input=a.csv", "run=nowhere: there is no such folder"),
    ("generate run=r temprature=1", "did you mean 'temperature'?"),
    ("generate run=r temperature=hot", "temperature must be a number"),
    ("generate run=r prompt=caf\udce9", "prompt: the text after 'caf' is not utf-8"),
    ("generate run=nowhere", "run=nowhere: there is no such folder"),
    ("evaluate run=nowhere", "there is no run in this folder"),
    ("sweep sweep=tpee", "did you mean 'tpe'?"),
    ("sweep sweep.trails=3", "did you mean 'trials'?"),
    ("sweep-report dri=x", "did you mean 'dir'?"),
    ("sweep-report", "needs the folder of a sweep"),
    ("data lits", "did you mean 'list'?"),
    ("data verify mnits", "did you mean 'mnist'?"),
    ("data verify mnist pths.data_dir=x", "did you mean 'paths'?"),
]
CODE = """
import sys
from seqmodels.cli import run
status = run(sys.argv[1:])
assert status == 2, status
assert not {'torch', 'lightning', 'numpy', 'optuna'} & set(sys.modules), 'slow imports'
"""


@pytest.mark.parametrize(("line", "hint"), TYPOS)
def test_a_typo_is_answered_at_once_with_the_nearest_name(
    line: str, hint: str, tmp_path: Path, import_seconds: float
) -> None:
    before = processor_seconds()
    environment = {**os.environ, "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *line.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert hint in done.stderr
    assert done.returncode == 0, done.stderr
    assert processor_seconds() - before < import_seconds / 2, "the answer took long beside the imports of training"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is written"
