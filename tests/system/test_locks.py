"""Marks of folders that a process uses."""

import subprocess
import sys
from pathlib import Path

from seqmodels.system.locks import is_occupied, occupied


def test_a_folder_is_occupied_until_its_process_ends(tmp_path: Path) -> None:
    assert not is_occupied(tmp_path / "nowhere")
    with occupied(tmp_path), occupied(tmp_path):
        assert is_occupied(tmp_path)
    assert not is_occupied(tmp_path)
    code = (
        "import pathlib, sys; from seqmodels.system.locks import occupied\n"
        "with occupied(pathlib.Path(sys.argv[1])):\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert is_occupied(tmp_path)
        process.kill()
    assert not is_occupied(tmp_path)
    assert not [*tmp_path.iterdir()]
