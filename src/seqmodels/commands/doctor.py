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


def main(tokens: list[str]) -> int:
    """Print the report."""
    if tokens:
        sys.stdout.write(USAGE)
        return 2
    from seqmodels.system.devices import no_gpu  # noqa: PLC0415
    from seqmodels.training.runs import environment  # noqa: PLC0415

    facts = environment()
    rows = {
        "python": f"{facts['python']} on {facts['platform']}",
        "cores": f"{facts['cpu_count']}, of which torch uses {facts['threads']}",
        "accelerators": ", ".join(_accelerators()) or f"none, everything runs on the CPU: {no_gpu()}",
        "compiled kernels": _kernels(),
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
    out.print(_backends())
    return 0


def _accelerators() -> list[str]:
    import torch  # noqa: PLC0415

    found = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return found + (["Apple GPU (mps)"] if torch.backends.mps.is_available() else [])


def _kernels() -> str:
    """Return whether the fused back-end compiles its kernels on this machine, and where it keeps them."""
    from seqmodels.fusion.cpp.build import reason  # noqa: PLC0415
    from seqmodels.fusion.kernels.folder import cache_folder  # noqa: PLC0415

    why = reason()
    return f"yes, kept in {cache_folder()}" if why is None else f"no, fused runs torch operators: {why}"


def _backends() -> Table:
    """Return a table of the cells that each back-end runs on this machine, and the reasons against the others."""
    import torch  # noqa: PLC0415
    from omegaconf import OmegaConf  # noqa: PLC0415

    from seqmodels.backends import BACKENDS, backends_for  # noqa: PLC0415
    from seqmodels.config.build import build  # noqa: PLC0415

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x = torch.zeros(1, 2, 3, device=device)
    refusals: dict[str, dict[str, str | None]] = {}
    for path in options():
        cell = build(OmegaConf.load(path))(3).to(device)
        reasons = backends_for(cell, x)
        refusals[path.stem] = {name: _general(reason, type(cell).__name__) for name, reason in reasons.items()}
    table = Table("back-end", "runs", "why not the others", title=f"back-ends on {device}")
    for name in BACKENDS:
        runs = [cell for cell, reasons in refusals.items() if reasons[name] is None]
        why = dict.fromkeys(str(reasons[name]) for reasons in refusals.values() if reasons[name] is not None)
        cells = "all cells" if len(runs) == len(refusals) else ", ".join(runs) or "none"
        table.add_row(name, cells, "\n".join(why))
    return table


def _general(reason: str | None, cell: str) -> str | None:
    """Replace the name of a cell in a reason, so that a reason common to several cells is printed once."""
    return None if reason is None else reason.replace(cell, "the cell")
