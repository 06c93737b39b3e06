"""What needs a process of its own: the peak memory of a training step, and how long building kernels takes.

As a program it takes one measurement and prints it as JSON:
``python -m benchmarking.probes memory LSTMCell fused 128,32,256,256``.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]


def memory(name: str, backend: str, shape: str) -> float:
    """Return the peak memory of one training step over what the process held before, in MiB."""
    return float(_fresh("memory", name, backend, shape, {})["peak"]) / 2**20


def build(name: str, shape: str) -> dict[str, float]:
    """Return seconds from nothing to kernels for training and inference: in an empty cache, then in a later process."""
    with tempfile.TemporaryDirectory() as folder:
        first, later = (_fresh("build", name, "fused", shape, {"SEQMODELS_CACHE_DIR": folder}) for _ in range(2))
    return {
        "compiler": first["compiler"],
        "import of torch's tracer": first["tracer"],
        "trace": first["trace"],
        "kernels": len(first["kernels"]),
        "slowest kernel": max(first["kernels"]),
        "all kernels": sum(first["kernels"]),
        "later, trace": later["trace"],
        "later, kernels": later["compiler"] + sum(later["kernels"]),
    }


def _fresh(what: str, name: str, backend: str, shape: str, settings: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarking.probes", what, name, backend, shape]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _memory(name: str, backend: str, shape: Any) -> dict[str, float]:
    from benchmarking.sides import sides  # noqa: PLC0415 - the parent process has no use for it

    sides(name, shape._replace(time=2), "train", (backend,))[backend]()  # code and kernels are not the step's
    step = sides(name, shape, "train", (backend,))[backend]
    before = _forget_peak()
    step()
    return {"peak": _peak() - before}


def _forget_peak() -> int:
    """Return the memory held now, in bytes; from here on ``_peak`` counts anew where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def _build(name: str, backend: str, shape: Any) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    from benchmarking.cases import CASES  # noqa: PLC0415
    from seqmodels.fusion.cpp.build import library, reason  # noqa: PLC0415
    from seqmodels.fusion.cpp.emit import source  # noqa: PLC0415
    from seqmodels.fusion.plan import step_of  # noqa: PLC0415

    del backend
    cell = CASES[name].cell(shape.input, shape.hidden)
    at = [time.perf_counter()]

    def lap() -> float:
        at.append(time.perf_counter())
        return at[-1] - at[-2]

    if (why := reason()) is not None:
        raise RuntimeError(f"no kernels are built here: {why}")
    compiler = lap()
    import torch._dynamo  # noqa: PLC0415 - torch's tracer does so when it is first used

    tracer = lap()
    step = step_of(cell, torch.zeros(2, 2, shape.input, requires_grad=True))[0]
    assert step.pair is not None
    trace = lap()
    kernels = []
    for program in (step.pair.forward, step.pair.backward, step.forward):
        library(source(program, "float"))
        kernels.append(lap())
    return {"compiler": compiler, "tracer": tracer, "trace": trace, "kernels": kernels}


def main() -> None:
    from benchmarking.cases import Shape  # noqa: PLC0415

    what, name, backend, shape = sys.argv[1:]
    measured = {"memory": _memory, "build": _build}[what](name, backend, Shape(*map(int, shape.split(","))))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
