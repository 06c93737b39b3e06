"""Tokens a second of training a language model: `seqmodels train` against a plain PyTorch loop; and its input alone.

    python scripts/benchmark_language_model.py

The same network, text, window, optimiser and clipping, on one thread. The plain loop slices a tensor of rows and
carries the state by hand; it knows no documents, so that all of its steps are real, while ours are short of a window
where a document ends. The loops alternate, and processor time of the best round of each counts: what else the machine
does can only add to it. Exits with 1 below 0.9 of the plain loop's tokens a second, or where the input pipeline alone
gives fewer than 5 times the tokens that the plain loop takes.
"""

import argparse
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from benchmark_overhead import _Clock
from omegaconf import open_dict
from torch.nn import functional as F

from seqmodels.config.build import build
from seqmodels.config.compose import compose
from seqmodels.sequence import map_leaves
from seqmodels.system.threads import cpu_threads
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import build_trainer, check_config, load_data
from seqmodels.training.quiet import quiet

LEAST = 0.9
INPUT = 5.0
WINDOWS = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", help="of the configuration: data=ptb cell=lstm cell.hidden_size=200")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, quiet(), cpu_threads(1):
        config = _config(Path(folder), arguments.overrides)
        data = load_data(check_config(config), "fit")
        full = WINDOWS * data.batch_size * data.split("train").bptt
        real = sum(int((window.targets >= 0).sum()) for window in islice(data.train_dataloader(), WINDOWS))
        rounds = [(_plain(config, data), _ours(config, data), _input(data)) for _ in range(arguments.rounds)]
    best = [min(seconds) for seconds in zip(*rounds, strict=True)]
    plain, ours, alone = (tokens / seconds for tokens, seconds in zip((full, real, full), best, strict=True))
    print(f"plain {plain:,.0f}, seqmodels {ours:,.0f} tokens a second: ratio {ours / plain:.3f} (at least {LEAST})")
    print(f"input alone {alone:,.0f} tokens a second: {alone / plain:.0f} times the plain loop (at least {INPUT:.0f})")
    return int(ours < LEAST * plain or alone < INPUT * plain)


def _config(folder: Path, overrides: list[str]) -> Any:
    """Return the experiment on Python's reference for a few windows, without validation or dropout."""
    base = ["experiment=python_docs", f"paths.output_dir='{folder}'", "trainer=cpu", "trainer.max_epochs=1"]
    base += [f"trainer.limit_train_batches={WINDOWS}", "trainer.limit_val_batches=0", "callbacks=none"]
    base += ["callbacks.progress=null", "scheduler=constant", "model.dropout=0", "model.dropout_output=0"]
    config = compose("train", [*base, *overrides])
    with open_dict(config):
        del config["hydra"]
    return config


def _plain(config: Any, data: Any) -> float:
    model = build_task(config, data.sizes).model
    optimizer = build(config.optimizer)(model.parameters())
    text = torch.from_numpy(data.split("train").corpus.tokens.astype("int64"))
    length = (len(text) - 1) // data.batch_size
    inputs = text[: length * data.batch_size].view(data.batch_size, length)
    targets = text[1 : length * data.batch_size + 1].view(data.batch_size, length)
    state = None
    started = time.process_time()
    for first in range(0, WINDOWS * data.split("train").bptt, data.split("train").bptt):
        scores, state = model(inputs[:, first : first + data.split("train").bptt], state)
        state = map_leaves(torch.Tensor.detach, state)
        loss = F.cross_entropy(scores.flatten(0, 1), targets[:, first : first + data.split("train").bptt].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
    return time.process_time() - started


def _ours(config: Any, data: Any) -> float:
    clock = _Clock()
    trainer = build_trainer(check_config(config), clock)
    with redirect_stdout(StringIO()):  # the line of the epoch
        trainer.fit(build_task(config, data.sizes), datamodule=data)
    return clock.seconds


def _input(data: Any) -> float:
    """Return the seconds of reading as many tokens as the plain loop takes."""
    started, tokens = time.process_time(), 0
    while tokens < WINDOWS * data.batch_size * data.split("train").bptt:
        for window in data.train_dataloader():
            tokens += int((window.targets >= 0).sum())
    seconds = time.process_time() - started
    return seconds * WINDOWS * data.batch_size * data.split("train").bptt / tokens


if __name__ == "__main__":
    sys.exit(main())
