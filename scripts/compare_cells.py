"""Train the cells that introductory articles describe on three tasks, at equal numbers of parameters; write one table.

    SEQMODELS_DATA_DIR=/data python scripts/compare_cells.py --seeds 1 2 3 --budget 30     # minutes
    python scripts/compare_cells.py --render                                               # only write the page again

Every cell has as wide a layer as makes its network as large as that of an LSTM of 48 units. For each cell and task the
learning rate is the one of RATES with the lower validation loss at the first seed. What is known is kept in
docs/cells_compared.json, run by run, and not run again; when the budget is spent, no new run begins, and the same
command goes on from there.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from comparing.report import answers, best_rate, name, table
from comparing.tasks import CELLS, RATES, TASKS, TIME, UNITS
from omegaconf import DictConfig, open_dict

from seqmodels.config.compose import compose
from seqmodels.data import load
from seqmodels.training.checkpointing import load_task
from seqmodels.training.fit import train
from seqmodels.training.trained import build_model

ROOT = Path(__file__).resolve().parents[1]
STORE, PAGE = ROOT / "docs" / "cells_compared.json", ROOT / "docs" / "cells_compared.md"
BEGIN, END = "<!-- comparison -->", "<!-- end of comparison -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--budget", type=float, default=float("inf"), help="minutes after which no new run begins")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page")
    arguments = parser.parse_args()
    known: dict[str, dict[str, Any]] = json.loads(STORE.read_text()) if STORE.is_file() else {}
    ends = time.monotonic() + 60 * arguments.budget
    left = [] if arguments.render else list(missing(arguments.seeds, known, ends))
    page = PAGE.read_text()
    head, tail = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(f"{head}\n\n{table(known)}\n\n{answers(known)}\n\n{tail}")
    print(f"{len(left)} runs are left: the same command goes on" if left else f"written: {PAGE}")
    return 0


def missing(seeds: list[int], known: dict[str, dict[str, Any]], ends: float) -> Iterable[str]:
    """Run what is not known yet, seed by seed, as long as there is time; yield the keys of what is left."""
    for seed in seeds:
        for task in TASKS:
            for cell in CELLS:
                rates = RATES if seed == seeds[0] else [best_rate(task, cell, seeds[0], known)]
                for rate in rates:
                    key = name(task, cell, seed, rate)
                    if key in known:
                        continue
                    if time.monotonic() > ends:
                        yield key
                        continue
                    known[key] = run(task, cell, seed, rate)
                    STORE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                    print(key, known[key], flush=True)


def configuration(task: str, cell: str, *options: str) -> DictConfig:
    words = [*TASKS[task].options.split(), *CELLS[cell].split(), *options]
    config = compose("train", ["name=comparison", "paths.output_dir=unused", *words])
    with open_dict(config):
        del config["hydra"]  # what only a command line needs
    return config


def parameters(task: str, config: DictConfig, hidden_size: int) -> int:
    config.cell.hidden_size = hidden_size
    return sum(parameter.numel() for parameter in build_model(config, TASKS[task].sizes).parameters())


@cache
def goal(task: str) -> int:
    """Return how many parameters every network on a task shall have."""
    return parameters(task, configuration(task, "lstm"), UNITS)


@cache
def hidden_size(task: str, cell: str) -> int:
    """Return the width at which the network is nearest to that of the LSTM in parameters."""
    config, width = configuration(task, cell), UNITS
    while parameters(task, config, width + 1) <= goal(task):
        width += 1
    return min((width, width + 1), key=lambda size: abs(parameters(task, config, size) - goal(task)))


def run(task: str, cell: str, seed: int, rate: float) -> dict[str, Any]:
    """Train and test once; return what counts, as plain numbers, and null where a number is none."""
    width = hidden_size(task, cell)
    with tempfile.TemporaryDirectory() as folder:
        options = [f"seed={seed}", f"optimizer.lr={rate}", f"paths.output_dir={folder}", "threads=1", "logger=none"]
        options += ["callbacks.early_stopping=null", "callbacks.progress=null", f"cell.hidden_size={width}"]
        started = time.process_time()
        metrics = train(configuration(task, cell, *options))
        seconds = time.process_time() - started
        found = {key: metrics[key] for key in (TASKS[task].metric, "val/loss", "parameters")}
        if task == "adding":
            found["heard"] = heard(load_task(Path(folder, "checkpoints", "best.ckpt")).model)
            torch.manual_seed(seed)
            found["reach"] = reach(build_model(configuration(task, cell, *options), TASKS[task].sizes))
    finite = {key: value if abs(value) < float("inf") else None for key, value in found.items()}
    return {**finite, "hidden_size": width, "seconds": round(seconds, 1)}


def reach(model: torch.nn.Module) -> float:
    """Return how strongly an untrained network's answer depends on its first input, over how strongly on its last."""
    norms = _slopes(model.double()).norm(dim=-1).mean(0)  # (time,); smaller than float32 can hold
    return float(norms[0] / norms[-1])


def heard(model: torch.nn.Module) -> float:
    """Return the mean slope of the answer over the number that was marked first: 1 in the right answer."""
    x = _examples()
    first = x[..., 1].argmax(1)  # the first of the two markers
    return float(_slopes(model)[torch.arange(len(x)), first, 0].mean())


def _examples() -> torch.Tensor:
    return load("adding", time=TIME, train_rows=200, data_seed=7).train.series


def _slopes(model: torch.nn.Module) -> torch.Tensor:
    """Return the derivative of each answer by its inputs, ``(rows, time, 2)``."""
    x = _examples().to(next(model.parameters())).requires_grad_()
    (slopes,) = torch.autograd.grad(model(x).sum(), x)
    return slopes


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
