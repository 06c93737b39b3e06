"""What the training loop costs: a step of about 5 ms under `seqmodels train`'s trainer against a plain loop.

    python scripts/benchmark_overhead.py

The same network, data, optimiser, loss and clipping; both loops alternate, so that what else the machine does falls on
both. Prints the median ratio, and exits with 1 when it is above 1.1.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from omegaconf import open_dict

from seqmodels.build import build
from seqmodels.checkpointing import build_task
from seqmodels.commands.compose import compose
from seqmodels.quiet import quiet
from seqmodels.training import build_trainer, load_data

LIMIT = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hidden-size", type=int, default=96)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, quiet():
        config = _config(Path(folder), arguments.hidden_size)
        data = load_data(config, "fit")
        steps = len(data.train_dataloader())
        ratios = []
        for turn in range(arguments.rounds + 1):
            plain, lightning = _plain(config, data), _lightning(config, data)
            if turn:  # the first round warms up
                ratios.append(lightning / plain)
                print(f"plain {plain / steps * 1e3:.2f} ms  lightning {lightning / steps * 1e3:.2f} ms  a step")
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f} over {len(ratios)} rounds of {steps} steps (at most {LIMIT})")
    return int(ratio > LIMIT)


def _config(folder: Path, hidden_size: int) -> Any:
    """Return the default run on longer sequences, without validation, for one epoch."""
    overrides = ["name=overhead", f"paths.output_dir='{folder}'", "data=parity", "data.train_rows=6400"]
    overrides += ["data.min_length=40", "data.max_length=40", f"cell.hidden_size={hidden_size}", "trainer=cpu"]
    overrides += ["trainer.max_epochs=1", "trainer.limit_val_batches=0", "callbacks=none", "scheduler=constant"]
    config = compose("train", overrides)
    with open_dict(config):
        del config["hydra"]
    return config


def _plain(config: Any, data: Any) -> float:
    task = build_task(config, data.sizes)
    optimizer = build(config.optimizer)(task.model.parameters())
    started = time.perf_counter()
    for batch in data.train_dataloader():
        loss = torch.nn.functional.cross_entropy(task.model(batch.inputs, batch.lengths), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
    return time.perf_counter() - started


class _Clock(Callback):
    """Times the epoch as the trainer runs it, from its first batch to its last."""

    def on_train_epoch_start(self, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def _lightning(config: Any, data: Any) -> float:
    clock = _Clock()
    trainer = build_trainer(config, clock)
    trainer.fit(build_task(config, data.sizes), datamodule=data)
    return clock.seconds


if __name__ == "__main__":
    sys.exit(main())
