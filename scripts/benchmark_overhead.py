"""What the training loop costs: a step of about 5 ms under `seqmodels train`'s trainer against a plain loop.

    python scripts/benchmark_overhead.py

The same network, data, optimiser, loss and clipping, on the one thread that such a network gets. The loops alternate,
and processor time of the best round of each counts: what else the machine does can only add to it. Exits with 1 above a
ratio of 1.1.
"""

import argparse
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from omegaconf import open_dict

from seqmodels.config.build import build
from seqmodels.config.compose import compose
from seqmodels.system.threads import cpu_threads
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import build_trainer, check_config, load_data
from seqmodels.training.quiet import quiet

LIMIT = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--hidden-size", type=int, default=56)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, quiet(), cpu_threads(1):
        config = _config(Path(folder), arguments.hidden_size)
        data = load_data(check_config(config), "fit")
        steps = len(data.train_dataloader())
        rounds = [(_plain(config, data), _lightning(config, data)) for _ in range(arguments.rounds)]
    plain, lightning = (min(seconds) / steps * 1e3 for seconds in zip(*rounds, strict=True))
    ratio = lightning / plain
    print(f"plain {plain:.2f} ms, lightning {lightning:.2f} ms a step: ratio {ratio:.3f} (at most {LIMIT})")
    return int(ratio > LIMIT)


def _config(folder: Path, hidden_size: int) -> Any:
    """Return the default run on longer sequences, without validation, for one epoch."""
    overrides = ["name=overhead", f"paths.output_dir='{folder}'", "data=parity", "data.train_rows=3200"]
    overrides += ["data.min_length=40", "data.max_length=40", f"cell.hidden_size={hidden_size}", "trainer=cpu"]
    overrides += [
        "trainer.max_epochs=1",
        "trainer.limit_val_batches=0",
        "callbacks=none",
        "callbacks.progress=null",
        "scheduler=constant",
    ]
    config = compose("train", overrides)
    with open_dict(config):
        del config["hydra"]
    return config


def _plain(config: Any, data: Any) -> float:
    task = build_task(config, data.sizes)
    optimizer = build(config.optimizer)(task.model.parameters())
    started = time.process_time()
    for batch in data.train_dataloader():
        loss = torch.nn.functional.cross_entropy(task.model(batch.inputs, batch.lengths), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
    return time.process_time() - started


class _Clock(Callback):
    """Times the epoch as the trainer runs it, from its first batch to its last."""

    def on_train_epoch_start(self, *_: Any) -> None:
        self.started = time.process_time()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.seconds = time.process_time() - self.started


def _lightning(config: Any, data: Any) -> float:
    clock = _Clock()
    trainer = build_trainer(check_config(config), clock)
    with redirect_stdout(StringIO()):  # the line of the epoch
        trainer.fit(build_task(config, data.sizes), datamodule=data)
    return clock.seconds


if __name__ == "__main__":
    sys.exit(main())
