"""Follow gradients through time in the cells that introductory articles describe; write the tables of one page.

    python scripts/study_gradient_flow.py            # writes docs/gradient_flow.md and docs/images/gradient_flow.svg

Norms of Jacobians are exact, in float64, the median of ROWS sequences of white noise, for one initialisation of each
cell: over 1000 steps they are means over many Jacobians.
After training means after STEPS updates on a task whose answer is the sign of the first of TRAINED steps. What is
known is kept in docs/gradient_flow.json, and not computed again.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from studying.chart import chart
from tabulating.page import between_marks, markdown
from torch import Tensor, nn

from seqmodels.cells import (
    Cell,
    ElmanCell,
    ForgetInputCell,
    GRUCell,
    LSTMCell,
    NoOutputGateLSTMCell,
    ResetAfterGRUCell,
)
from seqmodels.inspection import jacobian_norms, trajectory
from seqmodels.layers import Recurrent

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs" / "gradient_flow.md", ROOT / "docs" / "images" / "gradient_flow.svg"
STORE = ROOT / "docs" / "gradient_flow.json"
STEPS_BACK = (10, 30, 100, 300, 1000)
HIDDEN, ROWS = 16, 2
TRAINED, STEPS, BATCH, RATE = 30, 150, 32, 0.01
LEFT = 1e-3  # what a gradient must keep to count as there
TRAINING = f"After {STEPS} updates"
KEEPING = {"f", "z"}  # the gates that decide what is kept of the state

CELLS: dict[str, Callable[..., Cell[Any]]] = {
    "elman, identity": partial(ElmanCell, activation="identity"),
    "elman, tanh": ElmanCell,
    "lstm": LSTMCell,
    "lstm_no_output_gate": NoOutputGateLSTMCell,
    "gru": GRUCell,
    "gru_reset_after": ResetAfterGRUCell,
    "forget_input": ForgetInputCell,
}


def drawn(cell: Cell[Any]) -> Cell[Any]:
    """Leave a cell as it is drawn by default: uniformly within 1 / sqrt(hidden)."""
    return cell


def orthogonal(cell: Cell[Any], gain: float) -> Cell[Any]:
    """Make the recurrent weights of each gate orthogonal times ``gain``, and the biases 0."""
    with torch.no_grad():
        for block in cell.get_parameter("weight_hh").split(cell.hidden_size):
            block.copy_(gain * torch.linalg.qr(torch.randn_like(block))[0])
        cell.get_parameter("bias").zero_()
    return cell


def remembering(cell: Cell[Any], bias: float) -> Cell[Any]:
    """Bias the gate that keeps the state by ``bias``, f or z; a cell without one stays as it is."""
    with torch.no_grad():
        for gate, block in zip(cell.gates, cell.get_parameter("bias").split(cell.hidden_size), strict=False):
            if gate in KEEPING:
                block.fill_(cell.retention[gate] * bias)
    return cell


SETTINGS: dict[str, Callable[[Cell[Any]], Cell[Any]]] = {
    "as drawn by default": drawn,
    "orthogonal, gain 1": partial(orthogonal, gain=1.0),
    "orthogonal, gain 1.5": partial(orthogonal, gain=1.5),
    "forget bias 1": partial(remembering, bias=1.0),
    "forget bias 5": partial(remembering, bias=5.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    torch.set_num_threads(1)
    known: dict[str, dict[str, Any]] = json.loads(STORE.read_text()) if STORE.is_file() else {}
    for key, measure in measurements(seed):
        if key not in known:
            started = time.process_time()
            known[key] = {**measure(), "seconds": time.process_time() - started}
            STORE.write_text(json.dumps(known, indent=1) + "\n")
            print(key, known[key], flush=True)
    between_marks(PAGE, "study", report(known, seed))
    lines = {name: known[f"{next(iter(SETTINGS))}, {name}, seed {seed}"]["log10"] for name in CELLS}
    PICTURE.write_text(chart(STEPS_BACK, lines, LEFT))
    return 0


def measurements(seed: int) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield what is measured, by the keys it is stored under."""
    for setting, change in SETTINGS.items():
        for name, make in CELLS.items():
            if not setting.startswith("forget") or KEEPING & set(make(1, 1).gates):
                yield f"{setting}, {name}, seed {seed}", partial(untrained, name, change, seed)
    for name in CELLS:
        yield f"{TRAINING}, {name}, seed {seed}", partial(trained, name, seed)


def untrained(name: str, change: Callable[[Cell[Any]], Cell[Any]], seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    return {"log10": norms(change(CELLS[name](1, HIDDEN)))}


def trained(name: str, seed: int) -> dict[str, Any]:
    """Return the accuracy after a short training with a forget bias of 1, and the norms then."""
    torch.manual_seed(seed)
    cell = remembering(CELLS[name](1, HIDDEN), 1.0)
    layer, read = Recurrent(cell), nn.Linear(HIDDEN, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *read.parameters()], lr=RATE)
    for _ in range(STEPS):
        x, target = memory_task(BATCH)
        loss = nn.functional.binary_cross_entropy_with_logits(read(layer(x)[0][:, -1]), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*layer.parameters(), *read.parameters()], 1.0)
        optimizer.step()
    with torch.no_grad():
        x, target = memory_task(1000)
        accuracy = float(((read(layer(x)[0][:, -1]) > 0) == (target > 0)).float().mean())
    return {"accuracy": accuracy, "log10": norms(cell)}


def norms(cell: Cell[Any]) -> list[float]:
    """Return the decimal logarithms of the norms over STEPS_BACK steps of white noise."""
    found = trajectory(cell, torch.randn(ROWS, STEPS_BACK[-1], 1), dtype=torch.float64)
    rows = jacobian_norms(found, steps_back=STEPS_BACK, exact=True).log10
    return np.median(rows, axis=0).tolist()


def memory_task(rows: int) -> tuple[Tensor, Tensor]:
    """Return white noise ``(rows, TRAINED, 1)``, and whether its first step is positive, ``(rows, 1)`` of 0 and 1."""
    x = torch.randn(rows, TRAINED, 1)
    return x, (x[:, 0] > 0).float()


def report(known: Mapping[str, dict[str, Any]], seed: int) -> str:
    """Return the tables in Markdown."""
    across, parts = [f"{steps} steps" for steps in STEPS_BACK], []
    for setting in SETTINGS:
        found = {name: known.get(f"{setting}, {name}, seed {seed}") for name in CELLS}
        rows = [[f"`{name}`", *map(_power, each["log10"])] for name, each in found.items() if each]
        parts.append(f"### {setting[0].upper()}{setting[1:]}\n\n{markdown(['cell', *across], rows)}")
    after = {name: known[f"{TRAINING}, {name}, seed {seed}"] for name in CELLS}
    rows = [[f"`{name}`", f"{each['accuracy']:.0%}", *map(_power, each["log10"])] for name, each in after.items()]
    parts.append(f"### {TRAINING}\n\n{markdown(['cell', f'accuracy at {TRAINED} steps', *across], rows)}")
    seconds = sum(each["seconds"] for each in known.values())
    machine = f"torch {torch.__version__.partition('+')[0]}, one thread of a CPU"
    parts.append(f"`python scripts/study_gradient_flow.py`: {seconds:.0f} processor seconds, {machine}, seed {seed}.")
    return "\n\n".join(parts)


def _power(log10: float) -> str:
    """Return a number as a power of ten, set in bold where it exceeds what must be left of a gradient."""
    text = f"1e{log10:+.1f}" if abs(log10) >= 2 else f"{10**log10:.2g}"
    return f"**{text}**" if abs(log10) <= -np.log10(LEFT) else text


if __name__ == "__main__":
    raise SystemExit(main())
