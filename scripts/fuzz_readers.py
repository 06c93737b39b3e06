"""Damaged, hostile and random input for everything that reads from outside: files, configurations, checkpoints.

    python scripts/fuzz_readers.py                          # 120 000 inputs, a table of readers
    python scripts/fuzz_readers.py --reader "csv series" --inputs 50000 --seed 7

Each input must be read, or refused by one of our own errors that says where, within seconds and without much memory.
What a grammar writes must come back equal. Faults are printed with the input that shows them; status 1 where there are.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random

from fuzzing.configs import config_readers
from fuzzing.files import file_readers
from fuzzing.judging import NAME, Fault, Reader, judge, judge_written, limit_memory
from fuzzing.modules import module_readers
from fuzzing.mutation import mutated
from fuzzing.records import record_readers

WRITTEN = 0.3  # share of inputs that a grammar writes, where there is one
SHOWN = 3  # faults of a reader


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=120_000, help="over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="this one alone")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", f".*{NAME}")  # ours, about the input
    total, found = 0, list[Fault]()
    with tempfile.TemporaryDirectory(prefix="seqmodels-fuzz-") as folder:
        readers = all_readers(Path(folder))
        chosen = [reader for reader in readers if arguments.reader in (None, reader.name)]
        limit_memory()
        print("| reader | inputs | accepted | written and read back | inputs/s of a core | faults |")
        print("|---|---|---|---|---|---|")
        shares = sum(reader.share for reader in chosen)
        for reader in chosen:
            inputs = max(1, arguments.inputs * reader.share // shares)
            started = time.process_time()
            accepted, written, faults = fuzz(reader, inputs, arguments.seed)
            rate = inputs / (time.process_time() - started)
            print(f"| {reader.name} | {inputs} | {accepted} | {written} | {rate:.0f} | {len(faults)} |", flush=True)
            total, found = total + inputs, found + faults
    print(f"\n{total} inputs, {len(found)} faults")
    shown: dict[tuple[str, str], int] = {}
    for fault in found:
        kind = (fault.reader, " ".join(fault.reason.split()[:3]))
        shown[kind] = shown.get(kind, 0) + 1
        if shown[kind] <= SHOWN:
            print(f"\n{fault.reader}: {fault.reason}\n  {fault.content[:400]!r}")
    return 1 if found else 0


def all_readers(folder: Path) -> list[Reader]:
    """Return everything that reads from outside."""
    return [*file_readers(folder), *record_readers(), *module_readers(folder), *config_readers(folder)]


def fuzz(reader: Reader, inputs: int, seed: int) -> tuple[int, int, list[Fault]]:
    """Give a reader inputs; return how many it accepted, how many a grammar wrote, and the faults.

    A mutated input that was accepted may be mutated again, so that changes add up.
    """
    random = Random(f"{seed} {reader.name}")
    pool, faults = list(reader.seeds), list[Fault]()
    accepted = written = 0
    for _ in range(inputs):
        if reader.write is not None and random.random() < WRITTEN:
            content, reason = judge_written(reader, random)
            written += 1
        else:
            content = mutated(random.choice(pool), random, reader.words)
            good, reason = judge(reader, content)
            accepted += good
            if good and len(content) < 2000:
                pool[random.randrange(len(pool))] = content
                pool = [*pool, random.choice(reader.seeds)] if len(pool) < 50 else pool
        if reason is not None:
            faults.append(Fault(reader.name, reason, content))
    return accepted, written, faults


if __name__ == "__main__":
    sys.exit(main())
