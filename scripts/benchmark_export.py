"""Time an exported LSTM in C beside the fused kernel over a sequence, and beside ONNX Runtime at one step per call.

    python scripts/benchmark_export.py                         # needs a C compiler, onnx and onnxruntime
    python scripts/benchmark_export.py --hidden-size 128 --compiler clang

Batch 1, one thread, all ways in turns; the least time of the rounds counts, in processor time, so that it holds on a
machine that is busy. Step by step, C and ONNX Runtime are both called from Python, which costs more than C itself.
"""

import argparse
import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from seqmodels.backends import unroll
from seqmodels.cells import LSTMCell
from seqmodels.exporting.c import export_c

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
BYTES = 1 << 20  # more than any state here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compiler", default="gcc")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cell = LSTMCell(arguments.input_size, arguments.hidden_size).eval()
    x = torch.randn(arguments.steps, arguments.input_size)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        library = built(cell, Path(folder), arguments.compiler)
        times = {
            name: least / arguments.steps * 1e9
            for name, least in timed(ways(cell, x, library), arguments.rounds).items()
        }
    for name, nanoseconds in times.items():
        print(f"{name:34s} {nanoseconds:9.0f} ns a step")
    print(f"run of C over the fused kernel: {times['C, a sequence'] / times['fused, a sequence']:.2f}")
    print(f"step of ONNX Runtime over C:    {times['ONNX Runtime, step by step'] / times['C, step by step']:.1f}")


def built(cell: LSTMCell, folder: Path, compiler: str) -> ctypes.CDLL:
    """Return the exported cell as a library."""
    for name, content in export_c(cell, name="lstm")[0].items():
        (folder / name).write_bytes(content)
    library = folder / "lstm.so"
    subprocess.run([compiler, *FLAGS, "-o", str(library), str(folder / "lstm.c"), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def ways(cell: LSTMCell, x: torch.Tensor, library: ctypes.CDLL) -> dict[str, Callable[[], object]]:
    """Return what is compared, after a check that all compute the same."""
    state = ctypes.create_string_buffer(BYTES)
    library.lstm_init(state)
    y, row = torch.empty(len(x), cell.hidden_size), torch.empty(cell.hidden_size)
    run = (state, ctypes.c_void_p(x.data_ptr()), ctypes.c_size_t(len(x)), ctypes.c_void_p(y.data_ptr()), None)
    places = [ctypes.c_void_p(one.data_ptr()) for one in x]
    to = ctypes.c_void_p(row.data_ptr())
    step = library.lstm_step

    def c_sequence() -> torch.Tensor:  # which keeps the memory that C writes to alive
        library.lstm_reset(state)
        library.lstm_run(*run)
        return y

    def c_steps() -> torch.Tensor:
        library.lstm_reset(state)
        for place in places:
            step(state, place, to)
        return row

    onnx = onnx_steps(cell, x.numpy())
    found: dict[str, Callable[[], object]] = {
        "C, a sequence": c_sequence,
        "fused, a sequence": lambda: unroll(cell, x[None], backend="fused"),
        "C, step by step": c_steps,
        "ONNX Runtime, step by step": onnx,
    }
    wanted, _ = unroll(cell, x[None], backend="eager")
    c_sequence()
    torch.testing.assert_close(y, wanted[0], rtol=0, atol=1e-5)
    c_steps()
    torch.testing.assert_close(row, wanted[0, -1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(onnx(), wanted[0, -1].numpy(), rtol=0, atol=1e-5)
    return found


def onnx_steps(cell: LSTMCell, x: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that reads a sequence with ONNX's operator LSTM, a step at a call."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415
    from onnx import helper, numpy_helper  # noqa: PLC0415

    def gates(weight: torch.Tensor) -> np.ndarray:
        i, f, g, o = weight.detach().numpy().reshape(4, cell.hidden_size, -1)
        return np.concatenate([i, o, f, g])[None]  # the order of ONNX

    bias = gates(cell.bias)[..., 0]
    weights = {"w": gates(cell.weight_ih), "r": gates(cell.weight_hh), "b": np.concatenate([bias, 0 * bias], -1)}
    widths = {"x": cell.input_size, **dict.fromkeys(("h", "c", "h1", "c1"), cell.hidden_size)}
    ports = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, width])
        for name, width in widths.items()
    }
    node = helper.make_node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["", "h1", "c1"], hidden_size=cell.hidden_size)
    given = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    inputs, outputs = [ports[n] for n in ("x", "h", "c")], [ports[n] for n in ("h1", "c1")]
    graph = helper.make_graph([node], "lstm", inputs, outputs, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = [one.reshape(1, 1, -1) for one in x]
    zeros = np.zeros((1, 1, cell.hidden_size), np.float32)

    def steps() -> np.ndarray:
        h = c = zeros
        for row in rows:
            h, c = session.run(None, {"x": row, "h": h, "c": c})
        return h[0, 0]

    return steps


def timed(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least processor seconds of each function, all called in turns."""
    least = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - start)
    return least


if __name__ == "__main__":
    main()
