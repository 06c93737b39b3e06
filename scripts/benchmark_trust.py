"""What it costs to trust a run: resume points, seeds of steps, guards and gradient norms on a step of about 10 ms.

    python scripts/benchmark_trust.py [--rounds 9] [--json FILE]

The same network and data under the same trainer with a CSV log, bare, with each part, and with all of them, in turn.
Processor time of ten steps at a time is taken, and the fastest tenth of them over all rounds counts: what else the
machine does can only add to it. What a resume point itself takes is measured apart, by the clock, and shared out over
the 30 seconds from one to the next. On a busy machine noise is more than what is measured, so the hooks of each
part are timed within a run as well. Exits with 1 where they and the writing take more than 3 %.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from omegaconf import open_dict

from seqmodels.config.compose import compose
from seqmodels.system.threads import cpu_threads
from seqmodels.training.callbacks import FiniteSteps, GradientNorms
from seqmodels.training.checkpoint_file import keep_previous
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import build_trainer, check_config, load_data
from seqmodels.training.quiet import quiet
from seqmodels.training.resuming import ResumePoints, StepSeeds

LIMIT = 0.03
BLOCK = 10  # steps: so often gradient norms are logged
SECONDS = 30.0  # from one resume point to the next, as configs/callbacks/resume_points.yaml has it
SAVES = 9
HOOKS = ("on_train_batch_start", "on_before_backward", "on_before_optimizer_step")


class Clock(Callback):
    """Takes the processor time of blocks of steps, and at the end the time of saving."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.blocks: list[float] = []
        self.saves: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        if batch_idx % BLOCK == BLOCK - 1:
            now = time.process_time()
            if batch_idx >= BLOCK:
                self.blocks.append((now - self._last) / BLOCK)
            self._last = time.process_time()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        for _ in range(SAVES if self.path else 0):
            started = time.perf_counter()
            keep_previous(self.path)
            trainer.save_checkpoint(self.path)
            self.saves.append(time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--hidden-size", type=int, default=96)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, quiet(), cpu_threads(1):
        figures = measure(Path(name), arguments.hidden_size, arguments.rounds)
    for part, share in figures["shares"].items():
        print(f"{part:24s} {share:+7.2%}")
    print(f"a bare step takes {figures['milliseconds']:.2f} ms, a resume point {figures['save_milliseconds']:.1f} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(figures["shares"]["hooks together"] > LIMIT)


def measure(folder: Path, hidden_size: int, rounds: int) -> dict[str, Any]:
    """Return the time of a bare step, of a resume point, and what share of the step each part adds."""
    config = configuration(folder, hidden_size)
    data = load_data(check_config(config), "fit")
    ways: dict[str, Callable[[], list[Callback]]] = {
        "bare": list,
        "resume points": lambda: [ResumePoints(folder / "checkpoints", every_seconds=SECONDS)],
        "seeds of steps": lambda: [StepSeeds(1)],
        "finite steps": lambda: [FiniteSteps()],
        "gradient norms": lambda: [GradientNorms()],
    }
    ways["all"] = lambda: [callback for name in list(ways)[1:5] for callback in ways[name]()]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, callbacks in ways.items():
            clock = Clock()
            run(config, data, [*callbacks(), clock])
            times[way] += clock.blocks
    clock = Clock(folder / "checkpoints" / "last.ckpt")
    run(config, data, [ResumePoints(folder / "checkpoints"), clock])
    best = {way: statistics.quantiles(blocks, n=10)[0] for way, blocks in times.items()}
    save = statistics.median(clock.saves)
    shares = {way: time / best["bare"] - 1 for way, time in best.items() if way != "bare"}
    shares["writing them"] = save / SECONDS
    shares["together"] = shares["all"] + shares["writing them"]
    within = hooks(config, data, ways["all"]())
    shares |= {f"hooks of {part}": seconds / best["bare"] for part, seconds in within.items()}
    shares["hooks together"] = sum(within.values()) / best["bare"] + shares["writing them"]
    return {"milliseconds": best["bare"] * 1e3, "save_milliseconds": save * 1e3, "shares": shares, "rounds": rounds}


def hooks(config: Any, data: Any, callbacks: list[Callback]) -> dict[str, float]:
    """Return the mean seconds of a step that each callback's own hooks take: a busy machine blurs them least."""
    spent: dict[str, float] = {}
    for callback in callbacks:
        part = type(callback).__name__
        spent[part] = 0.0
        for name in HOOKS:
            if name in vars(type(callback)):
                setattr(callback, name, _timed(getattr(callback, name), part, spent))
    run(config, data, callbacks)
    return {part: seconds / len(data.train_dataloader()) for part, seconds in spent.items()}


def _timed(hook: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        result = hook(*arguments, **named)
        spent[part] += time.process_time() - started
        return result

    return timed


def configuration(folder: Path, hidden_size: int) -> Any:
    """Return a run on sequences of 40 steps, without validation, for one epoch, with a CSV log."""
    overrides = ["name=trust", f"paths.output_dir='{folder}'", "data=parity", "data.train_rows=3264", "logger=csv"]
    overrides += ["data.min_length=40", "data.max_length=40", f"cell.hidden_size={hidden_size}", "trainer=cpu"]
    overrides += ["trainer.max_epochs=1", "trainer.limit_val_batches=0", "callbacks=none", "callbacks.progress=null"]
    overrides += ["scheduler=constant", f"trainer.log_every_n_steps={BLOCK}"]
    config = compose("train", overrides)
    with open_dict(config):
        del config["hydra"]
    return config


def run(config: Any, data: Any, callbacks: list[Callback]) -> None:
    torch.manual_seed(1)
    build_trainer(check_config(config), *callbacks).fit(build_task(config, data.sizes), datamodule=data)


if __name__ == "__main__":
    sys.exit(main())
