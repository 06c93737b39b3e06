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
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, open_dict

from seqmodels.checkpointing import build_model, load_task
from seqmodels.commands.compose import compose
from seqmodels.data.adding import adding
from seqmodels.training import train

ROOT = Path(__file__).resolve().parents[1]
STORE, PAGE = ROOT / "docs" / "cells_compared.json", ROOT / "docs" / "cells_compared.md"
BEGIN, END = "<!-- comparison -->", "<!-- end of comparison -->"

CELLS = {
    "elman, tanh": "cell=elman cell.activation=tanh",
    "elman, relu": "cell=elman cell.activation=relu",
    "concat_linear": "cell=concat_linear",
    "jordan": "cell=jordan",
    "lstm": "cell=lstm",
    "lstm_no_output_gate": "cell=lstm_no_output_gate",
    "gru": "cell=gru",
    "gru_reset_after": "cell=gru_reset_after",
    "forget_input": "cell=forget_input",
    "forget_input_output": "cell=forget_input_output",
}
UNITS = 48  # of the LSTM that the others are as large as
RATES = (0.002, 0.008)
TIME = 100  # steps of the adding problem


class Task(NamedTuple):
    """What is trained on, and what counts."""

    title: str
    options: str
    sizes: dict[str, int]
    metric: str
    unit: str


TASKS = {
    "japanese_vowels": Task(
        "who speaks (7 to 29 steps)",
        "data=japanese_vowels data.batch_size=16 pooling=last trainer.max_epochs=40",
        {"input_size": 12, "output_size": 9},
        "test/accuracy",
        "accuracy",
    ),
    "parity": Task(
        "parity, trained to 40 bits, tested at 256",
        "data=parity data.max_length=40 data.test_min_length=256 data.test_max_length=256 "
        "data.train_rows=20000 data.batch_size=128 trainer.max_epochs=12",
        {"input_size": 1, "output_size": 2},
        "test/accuracy",
        "accuracy",
    ),
    "adding": Task(
        f"adding two of {TIME} numbers",
        f"data=adding data.time={TIME} data.train_rows=16000 data.batch_size=64 trainer.max_epochs=8",
        {"input_size": 2, "output_size": 1},
        "test/loss",
        "squared error (always answering 1: .167)",
    ),
}


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
    PAGE.write_text(f"{head}\n\n{table(known)}\n\n{tail}")
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


def name(task: str, cell: str, seed: int, rate: float) -> str:
    return f"{task} | {cell} | seed {seed} | rate {rate}"


def best_rate(task: str, cell: str, seed: int, known: dict[str, dict[str, Any]]) -> float:
    """Return the rate with the lower validation loss; the first where none is known."""
    losses = {rate: known.get(name(task, cell, seed, rate), {}).get("val/loss") for rate in RATES}
    # a loss that is no number, from a run that diverged, is worse than any
    return min(RATES, key=lambda rate: losses[rate] if losses[rate] is not None else float("inf"))


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
    norms = _slopes(model).norm(dim=-1).mean(0)  # (time,)
    return float(norms[0] / norms[-1])


def heard(model: torch.nn.Module) -> float:
    """Return the mean slope of the answer over the number that was marked first: 1 in the right answer."""
    x = _examples()
    first = x[..., 1].argmax(1)  # the first of the two markers
    return float(_slopes(model)[torch.arange(len(x)), first, 0].mean())


def _examples() -> torch.Tensor:
    return adding(200, TIME, torch.Generator().manual_seed(7)).inputs


def _slopes(model: torch.nn.Module) -> torch.Tensor:
    """Return the derivative of each answer by its inputs, ``(rows, time, 2)``."""
    x = _examples().requires_grad_()
    (slopes,) = torch.autograd.grad(model(x).sum(), x)
    return slopes


def table(known: dict[str, dict[str, Any]]) -> str:
    """Return what is known as a table in Markdown; the best mean of each task is set in bold."""
    runs = {(task, cell): chosen(task, cell, known) for task in TASKS for cell in CELLS}
    best = {task: _best(task, [runs[task, cell] for cell in CELLS]) for task in TASKS}
    lines = [
        f"| cell | units | {' | '.join(f'{task.title}: {task.unit}' for task in TASKS.values())} "
        "| slope by the first marked number (right: 1) | first input over last, untrained | processor seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in CELLS:
        shown = [_spread([one[TASKS[task].metric] for one in runs[task, cell]], best[task]) for task in TASKS]
        slopes = [_mean([one.get(key) for one in runs["adding", cell]]) for key in ("heard", "reach")]
        every = [one for task in TASKS for one in runs[task, cell]]
        units = "-".join(map(str, sorted({one["hidden_size"] for one in every})))
        lines.append(
            f"| {cell} | {units} | {' | '.join([*shown, *slopes])} | {_mean([one['seconds'] for one in every])} |"
        )
    sizes = [
        f"{min(counts):,.0f} to {max(counts):,.0f} ({task})"
        for task in TASKS
        if (counts := [one["parameters"] for cell in CELLS for one in runs[task, cell]])
    ]
    lines += [
        "",
        f"Mean ± standard deviation of seeds {', '.join(map(str, _seeds(known)))}. Parameters: {', '.join(sizes)}. "
        f"Learning rate: the better of {' and '.join(map(str, RATES))} by validation loss at the first seed. "
        f"Processor seconds: mean of a run on one thread; {os.cpu_count()} cores, {platform.machine()}, "
        f"torch {torch.__version__}.",
    ]
    return "\n".join(lines)


def _seeds(known: dict[str, dict[str, Any]]) -> list[int]:
    return sorted({int(key.split(" | ")[2].split()[1]) for key in known})


def chosen(task: str, cell: str, known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs of a cell on a task at the rate that was chosen for it, by seed."""
    seeds = _seeds(known)
    rate = best_rate(task, cell, seeds[0], known) if seeds else RATES[0]
    return [known[key] for seed in seeds if (key := name(task, cell, seed, rate)) in known]


def _best(task: str, found: list[list[dict[str, Any]]]) -> float:
    means = [
        statistics.fmean(one[TASKS[task].metric] for one in runs)
        for runs in found
        if runs and None not in [one[TASKS[task].metric] for one in runs]
    ]
    return (max if TASKS[task].unit == "accuracy" else min)(means, default=float("nan"))


def _spread(numbers: list[float | None], best: float) -> str:
    if not numbers or None in numbers:
        return "diverged" if numbers else "-"
    values = [number for number in numbers if number is not None]
    mean = statistics.fmean(values)
    spread = f" ± {statistics.stdev(values):.1g}" if len(values) > 1 else ""
    return f"**{mean:.3g}**{spread}" if mean == best else f"{mean:.3g}{spread}"


def _mean(numbers: list[float | None]) -> str:
    values = [number for number in numbers if number is not None]
    return f"{statistics.fmean(values):.2g}" if values else "-"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
