"""Whether data arrive faster than a model takes them: batches alone against training on the same batches.

    SEQMODELS_DATA_DIR=/data python scripts/benchmark_input.py                      # several experiments
    python scripts/benchmark_input.py digits_lstm python_docs                       # these

One thread, processor time, so that what else the machine does changes little. Exits with 1 where the input feeds less
than five times what its model consumes.
"""

import argparse
import sys
import tempfile
import time
from itertools import islice

from omegaconf import open_dict

from seqmodels.config.build import build
from seqmodels.config.compose import compose
from seqmodels.system.threads import cpu_threads
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import check_config, load_data
from seqmodels.training.quiet import quiet

LEAST = 5
EXPERIMENTS = ("digits_lstm", "mnist_rows", "names", "sst2", "imdb", "japanese_vowels", "jsb_chorales", "ett", "ptb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--batches", type=int, default=30)
    arguments = parser.parse_args()
    print("| experiment | input, ms a batch | training, ms a batch | times |\n|---|---|---|---|")
    slow = False
    with cpu_threads(1), quiet():
        for experiment in arguments.experiments:
            alone, training = measure(experiment, arguments.batches)
            slow = slow or training < LEAST * alone
            print(f"| {experiment} | {alone * 1e3:.2f} | {training * 1e3:.1f} | {training / alone:.0f} |", flush=True)
    return int(slow)


def measure(experiment: str, batches: int) -> tuple[float, float]:
    """Return seconds a batch of reading alone, and of training on batches that are there."""
    with tempfile.TemporaryDirectory() as folder:
        config = compose("train", [f"experiment={experiment}", f"paths.output_dir='{folder}'"])
        with open_dict(config):
            del config["hydra"]
        data = load_data(check_config(config), "fit")
        task = build_task(config, data.sizes)
        optimizer = build(config.optimizer)(task.parameters())
        loader = data.train_dataloader()
        next(iter(loader))  # what is done once
        started = time.process_time()
        there = list(islice(loader, batches))
        alone = (time.process_time() - started) / len(there)
        task.measure(there[0], "train").backward()  # kernels are built at the first step
        started = time.process_time()
        for batch in there:
            optimizer.zero_grad()
            task.measure(batch, "train").backward()
            optimizer.step()
        return alone, (time.process_time() - started) / len(there)


if __name__ == "__main__":
    sys.exit(main())
