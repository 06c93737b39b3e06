"""Check CUDA kernels: that they compile, are right, are fast, and stay so.

    python scripts/check_gpu.py --compile sm_80 sm_90            # registers and spills of every kernel; no card needed
    python scripts/check_gpu.py --json gpu.jsonl                 # everything, on this machine's card
    python scripts/check_gpu.py --parts speed --budget 120
    python scripts/check_gpu.py --dry-run                        # tiny, on an emulated card, to test the script

Correctness is that of every cell and wrapper against the Python loop in double precision. Speed is that of whole layers
beside torch.nn's, forward and backward, and each row of the table of goals ends with a geometric mean. Results are
written as they come, one JSON object a line. Exits with 1 where something is wrong or a goal is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from benchmarking.cases import CASES
from gpu_checks import correctness, kernels, robustness, speed
from gpu_checks.common import Limit, Place, Records

from seqmodels.fusion.cuda.card import Gpu

PARTS = {"build": 0.2, "correctness": 0.3, "speed": 0.35, "robustness": 0.15}
"""Parts of a run, and their shares of its time; what one leaves over goes to the next."""


def main() -> int:
    arguments = _arguments()
    records = Records(arguments.json)
    if arguments.compile is not None:
        names = arguments.cells or list(CASES)
        kernels.compile_all(arguments.compile or ["sm_90"], names, arguments.hidden, arguments.batch, records)
    else:
        _on_a_card(arguments, records)
    failed = records.failed()
    print(f"{len(records.all)} results, {len(failed)} failed")
    for record in failed:
        print("FAILED", record)
    return int(bool(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    archs = ", ".join(kernels.CARDS)
    parser.add_argument(
        "--compile", nargs="*", choices=kernels.CARDS, metavar="ARCH", help=f"of {archs}; sm_90 if none is named"
    )
    parser.add_argument("--cells", nargs="+", choices=CASES, metavar="CELL", help="all by default")
    parser.add_argument("--hidden", type=int, default=512, help="hidden size, with --compile")
    parser.add_argument("--batch", type=int, default=16, help="batch size, with --compile")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--budget", type=float, default=290.0, help="seconds of all parts together")
    parser.add_argument(
        "--torch-compile", action="store_true", help="compare with torch.compile too, which takes a minute"
    )
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on an emulated card; times mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result to this file as it comes")
    arguments = parser.parse_args()
    if arguments.compile is None and not arguments.dry_run and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --compile and --dry-run need none")
    return arguments


def _on_a_card(arguments: argparse.Namespace, records: Records) -> None:
    place = Place(dry=arguments.dry_run)
    names = arguments.cells or list(CASES)
    end, share = time.monotonic() + arguments.budget, sum(PARTS[part] for part in arguments.parts)
    runs: dict[str, Callable[[Limit, float], None]] = {
        "build": lambda limit, _: _build(place, limit, records),
        "correctness": lambda limit, _: _correctness(place, limit, records, names),
        "speed": lambda limit, seconds: _speed(place, limit, records, seconds, compiled=arguments.torch_compile),
        "robustness": lambda limit, _: _robustness(place, limit, records),
    }
    for part in arguments.parts:
        began = time.monotonic()
        seconds = (end - began) * PARTS[part] / share
        share -= PARTS[part]
        limit = Limit(seconds)
        runs[part](limit, seconds)
        records.add("time", part, seconds=time.monotonic() - began, skipped=limit.skipped)


def _build(place: Place, limit: Limit, records: Records) -> None:
    """Compile what is compared, several kernels at once: the executor then finds them in the cache."""
    if place.dry:
        return
    card = place.card
    assert isinstance(card, Gpu)
    spilled = []
    for kernel, image in kernels.build(speed.kernels(card, speed.GOALS), card.arch):
        if limit.over():
            break
        if not isinstance(image, kernels.Image):
            records.add("build", kernel.what, ok=False, why=str(image)[:300])
        elif image.spilled:
            spilled.append(kernel.what)
    records.add("build", f"{card.name} {card.arch}", spilled=spilled)


def _correctness(place: Place, limit: Limit, records: Records, names: list[str]) -> None:
    correctness.check_wide(place, limit, records)
    correctness.check_laws(place, limit, records)
    correctness.check_random(place, limit, records, 3 if place.dry else 30)
    correctness.check_cells(place, limit, records, names)


def _speed(place: Place, limit: Limit, records: Records, seconds: float, *, compiled: bool) -> None:
    count = sum(len(goal.shapes) for goal in speed.GOALS) + 2 * len(speed.MOST) + 4
    each = 0.0 if place.dry else 0.5 * seconds / count
    speed.check_captured(place, limit, records, each)
    speed.check_regularised(place, limit, records, each)
    speed.check_unplanned(place, limit, records, each, compiled=compiled)
    speed.check_goals(place, limit, records, each)


def _robustness(place: Place, limit: Limit, records: Records) -> None:
    robustness.check_graphs(place, limit, records)
    robustness.check_streams(place, limit, records, 3 if place.dry else 50)
    robustness.check_memory(place, limit, records, 10 if place.dry else 1000)
    robustness.check_wait_without_end(place, limit, records)
    robustness.check_launches(place, limit, records, 40 if place.dry else 20_000)


if __name__ == "__main__":
    sys.exit(main())
