"""Timing several functions beside each other: in turns, so that what else the machine does falls on all of them."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SHORT = 3e-3  # seconds: what is shorter is called several times in a row
MOST = 31  # rounds


class Timing(NamedTuple):
    median: float  # seconds
    rounds: int


def alternate(
    sides: dict[str, Callable[[], Any]], seconds: float, least: int, clock: str = "wall"
) -> dict[str, Timing]:
    """Time every side in turns, first to last and last to first, for about ``seconds`` altogether.

    Every side runs once to warm up and then at least ``least`` times: slow ones no more than that, fast ones as often
    as fits their part of the time. Where even that would take more than twice what was given, three times must do.
    """
    now, began = CLOCKS[clock], time.perf_counter()
    each = {name: max(_warm(side, now), 1e-6) for name, side in sides.items()}
    calls = {name: math.ceil(SHORT / spent) for name, spent in each.items()}
    part = seconds / len(sides)
    wanted = {n: min(max(int(part / (spent * calls[n])), least), max(MOST, least)) for n, spent in each.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.disable()
    try:
        for turn in range(max(wanted.values())):
            spent = time.perf_counter() - began
            if (spent > seconds and turn >= least) or (spent > 2 * seconds and turn >= 3):
                break
            names = [name for name in sides if turn < wanted[name]]
            for name in names if turn % 2 == 0 else reversed(names):
                taken[name].append(_time(sides[name], calls[name], now))
    finally:
        gc.enable()
    return {name: Timing(statistics.median(found), len(found)) for name, found in taken.items()}


def _warm(side: Callable[[], Any], now: Callable[[], float]) -> float:
    """Run a side; if that was quick, once more, since a first run finds caches empty."""
    first = _time(side, 1, now)
    return first if first > 0.25 else min(first, _time(side, 1, now))


def _time(side: Callable[[], Any], calls: int, now: Callable[[], float]) -> float:
    began = now()
    for _ in range(calls):
        side()
    return (now() - began) / calls


def geometric_mean(ratios: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
