"""``seqmodels doctor``: show versions, hardware and the back-ends that run on this machine."""

import os
import sys

from rich.table import Table

from seqmodels.commands.cells import options
from seqmodels.commands.tables import console
from seqmodels.config.files import config_folder

USAGE = (
    "seqmodels doctor\n\nPrints versions, cores, accelerators and the cells that each back-end runs on this machine.\n"
)

TRIED = "gru"
"""The cell that the fused back-end derives kernels for, to show that it can."""

WITH_A_GPU = (
    "An NVIDIA GPU would run elman (tanh, relu), gru_reset_after, lstm and lstm_projected by cuDNN (native), and the "
    "other cells fused: as CUDA kernels in bf16, fp16 and TF32 (compute capability 8.0 or later), else as torch "
    "operators. GPUs of AMD and Apple are untested; they run torch operators."
)


def main(tokens: list[str]) -> int:
    """Print the report."""
    if tokens:
        sys.stdout.write(USAGE)
        return 2
    from seqmodels.system.devices import no_gpu  # noqa: PLC0415
    from seqmodels.training.runs import environment  # noqa: PLC0415

    facts, devices = environment(), _devices()
    rows = {
        "python": f"{facts['python']} on {facts['platform']}",
        "cores": f"{facts['cpu_count']}, of which torch uses {facts['threads']}",
        "accelerators": ", ".join(_accelerators()) or f"none, everything runs on the CPU: {no_gpu()}",
        "compiled kernels": _kernels(),
        **({"products on the GPU": _precision()} if "cuda" in devices else {}),
        "configs": str(config_folder()),
        "data sets": os.environ.get("SEQMODELS_DATA_DIR", "SEQMODELS_DATA_DIR is not set: ./data"),
        "own modules": os.environ.get("SEQMODELS_ALLOW", "SEQMODELS_ALLOW is not set: none"),
        **facts["packages"],
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    out = console()
    out.print(table)
    for device in devices:
        out.print(_backends(device))
    if devices == ["cpu"]:
        out.print(WITH_A_GPU)
    return 0


def _accelerators() -> list[str]:
    import torch  # noqa: PLC0415

    found = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append(f"{facts.name} (compute capability {facts.major}.{facts.minor}, {facts.total_memory >> 30} GiB)")
    return found + (["Apple GPU (mps)"] if torch.backends.mps.is_available() else [])


def _kernels() -> str:
    """Return whether the fused back-end compiles its kernels for the CPU, and where it keeps them."""
    from seqmodels.fusion.cpp.build import reason  # noqa: PLC0415
    from seqmodels.fusion.kernels.folder import cache_folder  # noqa: PLC0415

    why = reason()
    return f"yes, kept in {cache_folder()}" if why is None else f"no, fused runs torch operators: {why}"


def _devices() -> list[str]:
    """Return the types of device that this machine can compute on."""
    import torch  # noqa: PLC0415

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return ["cpu"] if found is None else ["cpu", found.type]


def _backends(device: str) -> Table:
    """Return a table of the cells that each back-end runs on a device, and the reasons against the others.

    ``fused`` is asked about one cell, for which it derives and builds kernels: all published cells take seconds.
    """
    import torch  # noqa: PLC0415
    from omegaconf import OmegaConf  # noqa: PLC0415

    from seqmodels.backends import BACKENDS  # noqa: PLC0415
    from seqmodels.config.build import build  # noqa: PLC0415

    x = torch.zeros(1, 2, 3, device=device)
    cells = {path.stem: build(OmegaConf.load(path))(3).to(device) for path in options()}
    table = Table("back-end", "runs", "why not the others", title=f"back-ends on {device}")
    for name, backend in BACKENDS.items():
        asked = {TRIED: cells[TRIED]} if name == "fused" else cells
        reasons = {stem: _general(backend.refuses(cell, x), type(cell).__name__) for stem, cell in asked.items()}
        runs = [stem for stem, why in reasons.items() if why is None]
        text = "all cells" if len(runs) == len(reasons) else ", ".join(runs) or "none"
        if name == "fused" and runs:
            text += f", by {_executor(device)}; tried with {TRIED}"
        table.add_row(name, text, "\n".join(dict.fromkeys(why for why in reasons.values() if why is not None)))
    return table


def _executor(device: str) -> str:
    """Return how the fused back-end runs cells on a device: in float32, and in bf16 where that differs."""
    import torch  # noqa: PLC0415

    from seqmodels.backends import BACKENDS  # noqa: PLC0415
    from seqmodels.backends.fused import Fused  # noqa: PLC0415

    fused = BACKENDS["fused"]
    assert isinstance(fused, Fused)
    words = {"Cpp": "compiled C++", "Cuda": "CUDA kernels", "Portable": "torch operators"}
    plain, narrow = (
        words[type(fused.executor(torch.device(device), dtype)).__name__] for dtype in (torch.float32, torch.bfloat16)
    )
    if device == "cpu" or plain == narrow:
        return plain
    return (
        f"{plain} in float32, {narrow} in bf16 and fp16; torch.set_float32_matmul_precision('high') changes the first"
    )


def _precision() -> str:
    """Return how float32 is multiplied on an NVIDIA GPU."""
    import torch  # noqa: PLC0415

    if torch.backends.cuda.matmul.fp32_precision == "tf32":
        return "TensorFloat-32, in all back-ends"
    return "float32, in all back-ends; torch.set_float32_matmul_precision('high') allows the faster TensorFloat-32"


def _general(reason: str | None, cell: str) -> str | None:
    """Replace the name of a cell in a reason, so that a reason common to several cells is printed once."""
    return None if reason is None else reason.replace(cell, "the cell")
