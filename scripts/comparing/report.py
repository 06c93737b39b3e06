"""What the runs say, as a table and as answers."""

import math
import os
import platform
import statistics
from typing import Any

import torch

from comparing.tasks import CELLS, RATES, TASKS

Runs = dict[str, dict[str, Any]]
"""What is known of every run, by its :func:`name`."""


def name(task: str, cell: str, seed: int, rate: float) -> str:
    return f"{task} | {cell} | seed {seed} | rate {rate}"


def best_rate(task: str, cell: str, seed: int, known: Runs) -> float:
    """Return the rate with the lower validation loss; the first where none is known."""
    losses = {rate: known.get(name(task, cell, seed, rate), {}).get("val/loss") for rate in RATES}
    # a loss that is no number, from a run that diverged, is worse than any
    return min(RATES, key=lambda rate: losses[rate] if losses[rate] is not None else float("inf"))


def table(known: Runs) -> str:
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


def answers(known: Runs) -> str:
    """Say what the table says to the questions that the articles answer differently; nothing where runs are missing."""
    runs = {(task, cell): chosen(task, cell, known) for task in TASKS for cell in CELLS}
    if not all(runs.values()):
        return "Not all cells have run yet."

    def figures(cell: str) -> str:
        return ", ".join(
            f"{_spread([one[TASKS[task].metric] for one in runs[task, cell]], math.nan)}" for task in TASKS
        )

    def slopes(cell: str) -> str:
        first, heard_first = (_mean([one.get(key) for one in runs["adding", cell]]) for key in ("reach", "heard"))
        return f"{cell} {first} and {heard_first}"

    ranks = {cell: statistics.fmean(_rank(task, cell, runs) for task in TASKS) for cell in CELLS}
    order = ", ".join(f"{cell} {rank:.1f}" for cell, rank in sorted(ranks.items(), key=lambda item: item[1]))
    compared = ("elman, tanh", "elman, relu", "lstm", "gru")
    return "\n".join(
        [
            f"- **LSTM or GRU?** In the order of the columns: LSTM {figures('lstm')}; GRU {figures('gru')}.",
            "- **Does tanh keep the gradient from vanishing?** The slope by the first input over that by the last "
            "before training, and the slope by the first marked number after it: "
            f"{'; '.join(map(slopes, compared))}.",
            f"- **Which one to choose?** Mean place among the {len(CELLS)} over the three tasks: {order}.",
        ]
    )


def _rank(task: str, cell: str, runs: dict[tuple[str, str], list[dict[str, Any]]]) -> float:
    """Return the place of a cell on a task, 1 the best; cells with the same mean share the mean of their places."""
    means = {other: _merit(task, runs[task, other]) for other in CELLS}
    better = sum(merit > means[cell] for merit in means.values())
    return better + (1 + sum(merit == means[cell] for merit in means.values())) / 2


def _merit(task: str, found: list[dict[str, Any]]) -> float:
    """Return a mean that is greater where a cell is better; the least there is where a run diverged."""
    values = [one[TASKS[task].metric] for one in found]
    if None in values:
        return -math.inf
    return statistics.fmean(values) * (1 if TASKS[task].unit == "accuracy" else -1)


def _seeds(known: Runs) -> list[int]:
    return sorted({int(key.split(" | ")[2].split()[1]) for key in known})


def chosen(task: str, cell: str, known: Runs) -> list[dict[str, Any]]:
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
