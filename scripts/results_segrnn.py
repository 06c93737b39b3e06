"""Train SegRNN in every setting of its published tables, and write the tables of docs/results.md.

    SEQMODELS_DATA_DIR=/data python scripts/results_segrnn.py                    # on the CPU: some hours
    python scripts/results_segrnn.py --jobs 12 --minutes 6 --with trainer=gpu    # several runs at a time on one GPU
    python scripts/results_segrnn.py --read runs.json                            # take runs that are there already
    python scripts/results_segrnn.py --render                                    # only write docs/results.md again

The settings are 96 and 720 steps of input, four horizons, and every file of ETT in the data folder. Each is trained
with the candidates of scripts/tabulating/segrnn.py; for each file and input, the candidate with the lowest squared
error on validation data is printed. What is known is kept in docs/results.json, or in the file that --store names, run
by run, and not run again. Exits with 1 if a run failed or was stopped.
"""

import argparse
import os
import sys
from pathlib import Path

from tabulating import segrnn
from tabulating.page import between_marks
from tabulating.runs import STORE, load, run_all, save, taken

PAGE = STORE.with_name("results.md")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--minutes", type=float, help="time for all runs; those that have not ended are stopped")
    parser.add_argument("--with", nargs="+", default=[], dest="words", help="words for every command, like trainer=gpu")
    parser.add_argument("--store", type=Path, default=STORE, help="the file of the runs; another one writes no page")
    parser.add_argument("--read", nargs="+", type=Path, default=[], help="folders of runs, or files of --store")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page")
    arguments = parser.parse_args()
    failed = []
    if arguments.read:
        save(load(arguments.store) | taken(arguments.read), arguments.store)
    elif not arguments.render:
        known = load(arguments.store)
        commands = [command for command in segrnn.commands(present()) if command not in known]
        failed = run_all(
            commands, arguments.store, jobs=arguments.jobs, minutes=arguments.minutes, words=arguments.words
        )
        print(f"{len(commands) - len(failed)} of {len(commands)} runs ended")
    if arguments.store == STORE:
        between_marks(PAGE, "segrnn", section(load(STORE)))
    return int(bool(failed))


def present() -> list[str]:
    """Return the files of ETT in the data folder, by name; say which are missing."""
    folder = Path(os.environ.get("SEQMODELS_DATA_DIR", "data"), "ett")
    found = [name for name in segrnn.SERIES if any(folder.glob(f"{name}.csv*"))]
    for name in segrnn.SERIES:
        if name not in found:
            print(f"{folder} has no {name}.csv: its settings are left out")
    return found


def section(known: dict[str, segrnn.Run]) -> str:
    """Return both tables with what they were measured on."""
    tables = [table for look_back in segrnn.LOOK_BACKS if (table := segrnn.table(look_back, known))]
    if not tables:
        return "No runs yet."
    return "\n\n".join([*tables, f"Runs: {segrnn.measured_on(known)}."])


if __name__ == "__main__":
    sys.exit(main())
