"""From measurements to tables in Markdown."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from benchmarking.cases import AT_MOST, CASES, TARGETS, WORST
from benchmarking.timing import geometric_mean

BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
Record = dict[str, Any]
"""One measurement: group, cell, shape, mode, threads, side, seconds (a median), rounds."""


def stamp(clock: str) -> dict[str, str]:
    """Return what a reader must know of the machine and the moment."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = re.findall(r"^model name\s*:\s*(.*)$", info.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    return {
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "cpu": f"{cpu}, {cores} cores, {torch.backends.cpu.get_cpu_capability()}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load before the run": load,
        "clock": clock,
    }


class Table:
    """The medians of a run, and the ratios that follow from them."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.at = {
            (r["group"], r["cell"], r["shape"], r["mode"], r["threads"], r["side"]): r["seconds"] for r in records
        }

    def seen(self, key: str) -> list[Any]:
        return list(dict.fromkeys(r[key] for r in self.records))

    def ratios(self, cell: str, mode: str, threads: int, sides: tuple[str, str]) -> dict[str, float]:
        """Return the time of the first side over the time of the second, by shape."""
        group = "wrapped" if "plain" in sides else "cells"
        found = {}
        for shape in self.seen("shape"):
            pair = [self.at.get((group, cell, shape, mode, threads, side)) for side in sides]
            if None not in pair:
                found[shape] = pair[0] / pair[1]  # type: ignore[operator]
        return found


def markdown(run: dict[str, Any]) -> str:
    """Return the whole report of a run."""
    table = Table(run["records"])
    stamp_lines = [f"* {key}: {value}" for key, value in {"command": f"`{run['command']}`", **run["stamp"]}.items()]
    found = ["\n".join(stamp_lines)]
    if table.records:
        threads = max(table.seen("threads"))
        found += [_targets(table, threads), *(_ratios(table, n) for n in table.seen("threads"))]
        found += [_wrapped(table, threads)]
    found += [_memory(run["memory"]), _build(run["build"]), "\n".join(f"* {note}" for note in run["notes"])]
    if table.records:
        times = [_times(table, mode, threads) for mode in table.seen("mode")]
        found += ["<details><summary>Every median</summary>", *times, "</details>"]
    return "\n\n".join(part for part in found if part) + "\n"


def parts(path: Path) -> tuple[str, str]:
    """Return what stands before and after the tables of a page, markers included.

    Raises:
        ValueError: the page does not have each marker once, in order.
    """
    page = path.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{path} must have one line {BEGIN} and one line {END} after it")
    return page[: page.index(BEGIN)] + BEGIN, page[page.index(END) :]


def rewrite(path: Path, text: str) -> None:
    """Replace what stands between the markers of a page."""
    before, after = parts(path)
    path.write_text(f"{before}\n\n{text}\n{after}", encoding="utf-8")


def failures(records: Sequence[Record]) -> int:
    """Return how many rows of the table of targets fail."""
    table = Table(records)
    return _targets(table, max(table.seen("threads"))).count("**no**") if records else 0


def _rows(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [f"| {' | '.join(row)} |" for row in rows]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *body]
    return "\n".join([f"### {title}", "", *lines]) if body else ""


def _summary(ratios: dict[str, float], *, worst: Any = min) -> str:
    shape = worst(ratios, key=ratios.__getitem__)
    return f"{geometric_mean(ratios.values()):.2f} ({ratios[shape]:.2f} at {shape})"


def _targets(table: Table, threads: int) -> str:
    rows = []
    for target in TARGETS:
        for cell in target.cells:
            for mode, least in (("train", target.train), ("inference", target.inference)):
                found = table.ratios(cell, mode, threads, (target.theirs, target.ours))
                if found:
                    good = geometric_mean(found.values()) >= least and min(found.values()) >= WORST
                    sides = f"{target.ours} against {_peer(cell, target.theirs)}"
                    rows.append([cell, sides, mode, _summary(found), f"≥ {least}", "yes" if good else "**no**"])
    for kind, most in AT_MOST.items():
        for cell in table.seen("cell"):
            for mode in table.seen("mode"):
                if found := table.ratios(cell, mode, threads, (kind, "plain")):
                    good = geometric_mean(found.values()) <= most
                    result = _summary(found, worst=max)
                    rows.append(
                        [cell, f"{kind}: time over plain", mode, result, f"≤ {most}", "yes" if good else "**no**"]
                    )
    head = ["cell", "sides", "mode", "geometric mean (worst shape)", "target", "reached"]
    return _rows(f"Targets, {threads} threads", head, rows)


def _peer(cell: str, side: str) -> str:
    return f"nn.{CASES[cell].peer.__name__}" if side == "torch" else side


def _ratios(table: Table, threads: int) -> str:
    """Every opponent's time over that of the fused back-end."""
    opponents = [s for s in ("torch", "eager", "portable", "native", "scan", "jax", "keras") if s in table.seen("side")]
    rows = []
    for cell in table.seen("cell"):
        for mode in table.seen("mode"):
            found = [table.ratios(cell, mode, threads, (side, "fused")) for side in opponents]
            if any(found):
                peer = _peer(cell, "torch")
                rows.append([cell, peer, mode, *(_summary(each) if each else "" for each in found)])
    head = ["cell", "torch is", "mode", *opponents]
    return _rows(f"Speed of `fused` over each opponent, {threads} threads: geometric mean (worst shape)", head, rows)


def _wrapped(table: Table, threads: int) -> str:
    kinds = [
        side for side in table.seen("side") if ("wrapped", side) in {(r["group"], r["side"]) for r in table.records}
    ]
    rows = []
    for cell in table.seen("cell"):
        for mode in table.seen("mode"):
            found = [table.ratios(cell, mode, threads, (kind, "plain")) for kind in kinds if kind != "plain"]
            if any(found):
                rows.append([cell, mode, *(_summary(each, worst=max) if each else "" for each in found)])
    head = ["cell", "mode", *(kind for kind in kinds if kind != "plain")]
    return _rows(f"Time with a wrapper over the plain cell, both fused, {threads} threads", head, rows)


def _times(table: Table, mode: str, threads: int) -> str:
    shapes = table.seen("shape")
    rows = []
    for cell in table.seen("cell"):
        for side in table.seen("side"):
            keys = [("cells", cell, shape, mode, threads, side) for shape in shapes]
            if any(key in table.at for key in keys):
                times = [f"{1e3 * table.at[key]:.3g}" if key in table.at else "" for key in keys]
                rows.append([cell, _peer(cell, side), *times])
    return _rows(f"Milliseconds, {mode}, {threads} threads, by shape (T, B, I, H)", ["cell", "side", *shapes], rows)


def _memory(found: Sequence[Record]) -> str:
    rows = [
        [r["cell"], r["shape"], f"{r['fused']:.0f}", f"{r['eager']:.0f}", f"{r['fused'] / r['eager']:.2f}"]
        for r in found
    ]
    return _rows("Peak memory of a training step, MiB", ["cell", "shape (T, B, I, H)", "fused", "eager", "ratio"], rows)


def _build(found: Sequence[Record]) -> str:
    kinds = [key for key in (found[0] if found else {}) if key not in ("cell", "shape", "kernels")]
    rows = [[r["cell"], r["shape"], *(f"{r[kind]:.2f}" for kind in kinds)] for r in found]
    title = "Building the kernels of training and inference, seconds (later: in a process that finds them in the cache)"
    return _rows(title, ["cell", "shape (T, B, I, H)", *kinds], rows)
