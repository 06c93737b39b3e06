"""What several processes would gain: measured compute and gradient bytes of a step, and a model of the all-reduce.

    python scripts/scaling_cost.py --experiments digits_lstm python_docs
    python scripts/scaling_cost.py --link 100e-6 0.1e9       # your own: seconds of latency, bytes a second

A step of n processes takes  compute + allreduce(n),  with

    allreduce(n) = 2 (n - 1) latency + 2 (n - 1) / n * gradient bytes / bandwidth

(a ring; nothing is hidden behind the backward pass, though DDP hides what it can: real runs lie above). The batch of a
process stays as it is, so that n processes do n times the work of one: efficiency = compute / (compute + allreduce).
Compute is measured on one thread of this machine; latency and bandwidth of gloo between two processes of it.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import open_dict
from torch import distributed

from seqmodels.config.compose import compose
from seqmodels.training.checkpointing import build_task
from seqmodels.training.fit import check_config, load_data

PRESETS = ("digits_lstm", "adding", "python_docs", "tiny_shakespeare", "ptb", "imdb", "ett")
SIZES = (1 << 10, 1 << 14, 1 << 18, 1 << 21, 1 << 24)  # bytes
PROCESSES = (2, 8, 64)


class Link(NamedTuple):
    """What connects processes."""

    name: str
    latency: float  # seconds
    bandwidth: float  # bytes a second

    def allreduce(self, processes: int, size: float) -> float:
        """Return the seconds that a ring all-reduce of ``size`` bytes takes."""
        return 2 * (processes - 1) * self.latency + 2 * (processes - 1) / processes * size / self.bandwidth


ASSUMED = (
    Link("10 Gb Ethernet", 50e-6, 1.1e9),
    Link("100 Gb InfiniBand", 10e-6, 11e9),
    Link("NVLink", 10e-6, 150e9),
)


class Step(NamedTuple):
    """What one training step of a preset costs."""

    name: str
    seconds: float
    gradient_bytes: int


def measured_step(experiment: str, steps: int, threads: int = 1) -> Step:
    """Return what a training step takes on this machine: forward, backward and optimiser, median over ``steps``."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        config = compose("train", [f"experiment={experiment}", "name=cost", f"paths.output_dir='{folder}'"])
        with open_dict(config):
            del config["hydra"]
        data = load_data(check_config(config), "fit")
        task = build_task(config, data.sizes).train()
        parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
        optimizer = task.optimizer(parameters)
        times = []
        for batch in islice(_again(data.train_dataloader()), steps + 2):
            started = time.perf_counter()
            task.measure(batch, "train").backward()
            optimizer.step()
            optimizer.zero_grad()
            times.append(time.perf_counter() - started)
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    return Step(experiment, statistics.median(times[2:]), size)


def _again(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def measured_link() -> Link:
    """Return latency and bandwidth of gloo between two processes of this machine, by least squares over sizes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = str(listening.getsockname()[1])
    more = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--rank"]
    other = subprocess.Popen(command, env={**os.environ, **more, "RANK": "1"})
    try:
        text = subprocess.run(
            command, env={**os.environ, **more, "RANK": "0"}, check=True, capture_output=True, text=True, timeout=120
        ).stdout
    finally:
        other.wait(20)
    times = [float(number) for number in text.split()]
    weights = 1 / np.array(times)  # relative errors count alike
    design = np.stack([np.full(len(SIZES), 2.0), np.array(SIZES, float)], 1)  # of two processes: 2 latency + size / bw
    latency, slope = np.linalg.lstsq(design * weights[:, None], np.ones(len(SIZES)), rcond=None)[0]
    return Link("gloo, this machine", max(float(latency), 1e-6), 1 / float(slope))


def time_allreduce() -> None:
    """Print the median seconds of an all-reduce of each size: one of two processes."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    for size in SIZES:
        tensor = torch.zeros(size // 4)
        times = []
        for _ in range(25):
            distributed.barrier()
            started = time.perf_counter()
            distributed.all_reduce(tensor)
            times.append(time.perf_counter() - started)
        if distributed.get_rank() == 0:
            print(statistics.median(times[5:]))
    distributed.destroy_process_group()


def table(steps: list[Step], links: list[Link]) -> str:
    """Return what the model says, as Markdown: of each preset and link, how efficient so many processes are."""
    head = ["preset", "compute ms", "gradients kB", *(f"{link.name}: {n}" for link in links for n in PROCESSES)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for step in steps:
        shares = [
            step.seconds / (step.seconds + link.allreduce(n, step.gradient_bytes)) for link in links for n in PROCESSES
        ]
        row = [step.name, f"{1000 * step.seconds:.1f}", f"{step.gradient_bytes / 1000:.0f}"]
        lines.append([*row, *(f"{100 * share:.0f} %" for share in shares)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="+", default=list(PRESETS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--link", nargs=2, type=float, metavar=("LATENCY", "BANDWIDTH"))
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        time_allreduce()
        return
    links = [Link("yours", *options.link)] if options.link else [measured_link(), *ASSUMED]
    for link in links:
        print(f"{link.name}: {1e6 * link.latency:.0f} us, {link.bandwidth / 1e9:.2f} GB/s")
    print()
    print(table([measured_step(name, options.steps) for name in options.experiments], links))


if __name__ == "__main__":
    main()
