"""The load test of a server, for a few seconds: every answer is right, and no request makes the server fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.exporting.saved import texts
from tests.scripts.conftest import SCRIPTS


@pytest.mark.long
def test_a_server_under_load_answers_everybody_rightly_and_withstands_fuzzing(tmp_path: Path) -> None:
    model = texts(tmp_path, "text_csv", "label", "pooling=last", "model.bidirectional=false").run / "model"
    options = ["--clients", "32", "--seconds", "3", "--fuzz", "300", "--words", "20"]
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark_serving.py"), str(model), *options],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "wrong answers: 0 []" in lines
    assert all(int(line.split(" answers")[0].split()[-1]) >= 32 for line in lines[:2])
    assert "p99" in lines[0]
