"""The example programs around an exported model, native and in WebAssembly, print what the model computes."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from seqmodels.cells import LSTMCell
from seqmodels.exporting.c import export_c
from seqmodels.exporting.c.comparing import expected

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "c"
STEPS = np.linspace(-1, 1, 4 * 3, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def model(tmp_path: Path) -> LSTMCell:
    torch.manual_seed(0)
    cell = LSTMCell(3, 5)
    for name, content in export_c(cell)[0].items():
        (tmp_path / name).write_bytes(content)
    for path in EXAMPLES.iterdir():
        shutil.copy(path, tmp_path)
    return cell


def run(folder: Path, *command: str, given: str = "") -> str:
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode and "wasi" in done.stderr:
        pytest.skip(f"clang has no library for WebAssembly: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_computes(model: LSTMCell, printed: str) -> None:
    found = np.array([list(map(float, line.split())) for line in printed.splitlines()])
    np.testing.assert_allclose(found, expected(model, [STEPS])[0], rtol=0, atol=1e-5)


LINES = "".join(f"{' '.join(map(str, row))}\n" for row in STEPS.tolist())


def test_a_program_reads_step_after_step(model: LSTMCell, tmp_path: Path) -> None:
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror")
    run(tmp_path, "gcc", *flags, "stream.c", "model.c", "-lm", "-o", "stream")
    assert_computes(model, run(tmp_path, "./stream", given=LINES))


def test_webassembly_computes_what_the_model_does(model: LSTMCell, tmp_path: Path) -> None:
    if missing := [name for name in ("clang", "wasm-ld", "node") if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    flags = ("--target=wasm32-wasi", "-O3", "-nostartfiles", "-Wl,--no-entry", "-Wl,--export-dynamic")
    run(tmp_path, "clang", *flags, "wasm.c", "model.c", "-o", "model.wasm")
    assert_computes(model, run(tmp_path, "node", "stream.mjs", "model.wasm", given=LINES))
