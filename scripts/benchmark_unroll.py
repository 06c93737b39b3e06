"""Time every cell on every back-end beside PyTorch's layers, the Python loop and, where installed, JAX and Keras.

    python scripts/benchmark_unroll.py                           # everything: ten minutes on two cores
    python scripts/benchmark_unroll.py --cells GRUCell --threads 2 --budget 60
    python scripts/benchmark_unroll.py --threads 1 --clock cpu   # processor time, on a machine that is busy
    python scripts/benchmark_unroll.py --json run.json --markdown docs/performance.md

Exits with 1 when a target is missed. `docs/performance.md` says how to read the tables.
"""

import argparse
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from benchmarking import foreign, probes
from benchmarking.cases import ARTICLE, CASES, FEW_SHAPES, SHAPES, WRAPPED_CELLS, WRAPPED_SHAPES, PortableFused, Shape
from benchmarking.report import failures, markdown, parts, rewrite, stamp
from benchmarking.sides import FOREIGN, MODES, OWN, Side, sides, wrapped
from benchmarking.timing import CLOCKS, alternate

from seqmodels.backends import BACKENDS

log = logging.getLogger("benchmark")


class Unit(NamedTuple):
    """What is timed together."""

    group: str  # "cells": back-ends of a cell; "wrapped": a cell in its wrappers
    cell: str
    shape: Shape
    mode: str
    threads: int

    @property
    def weight(self) -> float:
        """How long a round may take, in any unit: arithmetic, and the overhead of Python loops over steps."""
        time, batch, size, hidden = self.shape
        work = time * batch * hidden * (size + hidden) / 2e9 + time / 2e3
        return work * (3 if self.mode == "train" else 1) * (0.3 if self.group == "wrapped" else 1)


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO if not arguments.quiet else logging.WARNING, format="%(message)s")
    logging.getLogger("seqmodels").setLevel(logging.WARNING)
    BACKENDS["portable"] = PortableFused()  # in this process alone
    run: dict[str, Any] = {"command": shlex.join(["python", *sys.argv]), "stamp": stamp(arguments.clock)}
    units = list(_units(arguments))
    began = time.perf_counter()
    _prepare(units)
    log.info("kernels were built or loaded in %.0f s", time.perf_counter() - began)
    run["records"] = list(_measure(units, arguments, began + arguments.budget))
    log.info("built and measured for %.0f s", time.perf_counter() - began)
    run |= _in_fresh_processes(arguments.probe)
    run["notes"] = _notes(run["records"], arguments)
    text = markdown(run)
    print(text)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(run, indent=1), encoding="utf-8")
    if arguments.markdown:
        rewrite(Path(arguments.markdown), text)
    return int(failures(run["records"]) > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CASES, metavar="CELL", help=f"of {', '.join(CASES)}")
    parser.add_argument("--shapes", nargs="+", type=_shape, metavar="T,B,I,H", help="time, batch, input, hidden")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2] if cores > 1 else [1])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument(
        "--backends", nargs="+", choices=OWN + FOREIGN, metavar="SIDE", help=f"of {', '.join(OWN + FOREIGN)}"
    )
    parser.add_argument(
        "--budget", type=float, default=480.0, help="seconds of measuring; more repetitions where it allows"
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often each side runs at least")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for one thread alone")
    parser.add_argument(
        "--probe", nargs="*", choices=CASES, metavar="CELL", help="cells whose memory and build to measure"
    )
    parser.add_argument("--json", metavar="FILE", help="write every median to this file")
    parser.add_argument("--markdown", metavar="PAGE", help="put the tables between the markers of this page")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    arguments = parser.parse_args()
    if arguments.clock == "cpu" and arguments.threads != [1]:
        parser.error("--clock cpu adds up the time of all threads: it needs --threads 1")
    if min(arguments.threads) < 1 or arguments.repeats < 1 or arguments.budget <= 0:
        parser.error("--threads, --repeats and --budget must be positive")
    try:
        if arguments.markdown:
            parts(Path(arguments.markdown))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if arguments.probe is None:
        arguments.probe = [] if arguments.cells else ["LSTMCell", "GRUCell"]
    return arguments


def _shape(text: str) -> Shape:
    shape = Shape(*map(int, text.split(",")))
    if min(shape) < 1:
        raise ValueError(text)
    return shape


def _units(arguments: argparse.Namespace) -> Iterator[Unit]:
    """Yield what to time. Unless cells or shapes are named, rarer cells and fewer threads come at fewer places."""
    most = max(arguments.threads)
    for threads in sorted(arguments.threads, reverse=True):
        for cell in arguments.cells or CASES:
            few = not arguments.cells and (cell not in ARTICLE or threads < most)
            for shape in arguments.shapes or (FEW_SHAPES if few else SHAPES):
                yield from (Unit("cells", cell, shape, mode, threads) for mode in arguments.modes)
        if threads == most and not arguments.backends:
            for cell in [name for name in WRAPPED_CELLS if name in (arguments.cells or CASES)]:
                for shape in arguments.shapes or WRAPPED_SHAPES:
                    yield from (Unit("wrapped", cell, shape, mode, threads) for mode in arguments.modes)


def _sides(unit: Unit, wanted: tuple[str, ...], *, again: bool = False) -> dict[str, Side]:
    if unit.group == "wrapped":
        return wrapped(unit.cell, unit.shape, unit.mode)
    found = sides(unit.cell, unit.shape, unit.mode, wanted)
    if again and "fused" in found:
        found["again"] = found["fused"]  # the same against itself: the noise of the machine
    return found


def _prepare(units: list[Unit]) -> None:
    """Build all kernels before the clock starts, several at once; those in the cache are only loaded."""
    fused = {unit._replace(shape=unit.shape._replace(time=2, batch=2), threads=1) for unit in units}

    def build(unit: Unit) -> None:
        for name, side in _sides(unit, ("fused",)).items():
            log.debug("%s %s", unit, name)
            side()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(build, sorted(fused)))


def _measure(units: list[Unit], arguments: argparse.Namespace, end: float) -> Iterator[dict[str, Any]]:
    most = max(arguments.threads)
    for place, unit in enumerate(units):
        left = max(end - time.perf_counter(), 0.0)
        seconds = max(left * unit.weight / sum(other.weight for other in units[place:]), 0.1)
        torch.set_num_threads(unit.threads)
        wanted = tuple(arguments.backends or OWN + FOREIGN)
        if unit.threads < (os.cpu_count() or 1):
            wanted = tuple(side for side in wanted if side != "jax")  # it takes the cores that it finds
        if unit.threads < most and not arguments.backends:
            wanted = tuple(side for side in wanted if side not in ("portable", "keras"))
        chosen = _sides(unit, wanted, again=unit.cell == units[0].cell)
        found = alternate(chosen, seconds, arguments.repeats, arguments.clock)
        times = "  ".join(f"{side} {1e3 * timing.median:.3g}" for side, timing in found.items())
        log.info("[%d/%d] %s (%s) %s, %d threads, ms: %s", place + 1, len(units), *unit[1:], times)
        for side, timing in found.items():
            kind = {"group": unit.group, "cell": unit.cell, "shape": str(unit.shape), "mode": unit.mode}
            yield kind | {"threads": unit.threads, "side": side, "seconds": timing.median, "rounds": timing.rounds}


def _in_fresh_processes(names: list[str]) -> dict[str, Any]:
    memory, build = [], []
    for name in names:
        for shape in (SHAPES[1], SHAPES[1]._replace(time=2 * SHAPES[1].time)):
            used = {backend: probes.memory(name, backend, str(shape)) for backend in ("fused", "eager")}
            memory.append({"cell": name, "shape": str(shape), **used})
        build.append({"cell": name, "shape": str(SHAPES[0]), **probes.build(name, str(SHAPES[0]))})
    return {"memory": memory, "build": build}


def _notes(records: list[dict[str, Any]], arguments: argparse.Namespace) -> list[str]:
    notes = ["Ratios above 1 mean that `fused` is faster; `torch` is the layer of `torch.nn` in the second column."]
    few = sum(r["rounds"] < arguments.repeats for r in records)
    notes.append(f"{few} of {len(records)} medians rest on fewer than {arguments.repeats} repetitions.")
    kind = ("cell", "shape", "mode", "threads")
    by = {(*(r[k] for k in kind), r["side"]): r["seconds"] for r in records if r["group"] == "cells"}
    pairs = [by[key] / by[(*key[:-1], "fused")] for key in by if key[-1] == "again"]
    if pairs:
        off = sorted(max(ratio, 1 / ratio) - 1 for ratio in pairs)
        notes.append(
            f"The same side against itself: off by {off[len(off) // 2]:.1%} in the median, {off[-1]:.1%} at most."
        )
    wanted = arguments.backends or FOREIGN
    missing = [("jax", foreign.jax_missing()), ("keras", foreign.keras_missing())]
    return notes + [why for side, why in missing if why and side in wanted]


if __name__ == "__main__":
    sys.exit(main())
