"""Time the layers of ``seqmodels.nn`` beside those of ``torch.nn``: a training step and an inference, in turns.

    python scripts/benchmark_drop_in.py                                  # a minute
    python scripts/benchmark_drop_in.py --shapes 100,64,512,512 --threads 2
    python scripts/benchmark_drop_in.py --clock cpu                      # processor time, on a machine that is busy

Prints a table of the time of ``torch.nn`` over that of ``seqmodels.nn``: above 1, the drop-in is faster.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from benchmarking.cases import SHAPES, Shape
from benchmarking.sides import MODES, Side, step
from benchmarking.timing import CLOCKS, alternate

from seqmodels import nn

KINDS: dict[str, tuple[str, Callable[[Shape], dict[str, Any]]]] = {
    "LSTM": ("LSTM", lambda _: {}),
    "LSTM, 2 layers, bidirectional": ("LSTM", lambda _: {"num_layers": 2, "bidirectional": True}),
    "LSTM, projected to a quarter": ("LSTM", lambda shape: {"proj_size": shape.hidden // 4}),
    "GRU": ("GRU", lambda _: {}),
    "GRU, 2 layers, bidirectional": ("GRU", lambda _: {"num_layers": 2, "bidirectional": True}),
    "RNN": ("RNN", lambda _: {}),
}


def side(package: Any, kind: str, shape: Shape, mode: str) -> Side:
    """Return one training step, or one inference, of a layer of ``torch.nn`` or of ours."""
    name, options = KINDS[kind]
    torch.manual_seed(0)
    module = getattr(package, name)(shape.input, shape.hidden, batch_first=True, **options(shape))
    module.train(mode == "train")
    x = torch.randn(shape.batch, shape.time, shape.input)
    return step(lambda leaf: module(leaf)[0], module, x, mode, module(x)[0].shape[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shapes = [",".join(map(str, shape)) for shape in SHAPES[:2]]
    parser.add_argument("--shapes", nargs="+", default=shapes, metavar="T,B,I,H", help="time, batch, input, hidden")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each comparison")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for one thread alone")
    arguments = parser.parse_args()
    if arguments.clock == "cpu" and arguments.threads != 1:
        parser.error("--clock cpu adds up the time of all threads: it needs --threads 1")
    torch.set_num_threads(arguments.threads)
    print("| layer | time, batch, input, hidden | training | inference |\n|---|---|---|---|")
    for kind in KINDS:
        for text in arguments.shapes:
            shape, ratios = Shape(*map(int, text.split(","))), []
            for mode in MODES:
                both = {"torch": side(torch.nn, kind, shape, mode), "ours": side(nn, kind, shape, mode)}
                found = alternate(both, arguments.seconds, 3, arguments.clock)
                ratios.append(found["torch"].median / found["ours"].median)
            print(f"| {kind} | {shape} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
