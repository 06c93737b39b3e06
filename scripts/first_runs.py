"""Train with all defaults on every classification set that can be had, and write the table of what came out.

    SEQMODELS_DATA_DIR=/data python scripts/first_runs.py names ArrowHead    # these; all where none is named
    python scripts/first_runs.py --render                                    # only write docs/results.md again

ACSF1, BasicMotions, OSULeaf, PickupGestureWiimoteZ and UnitTest come with the Python package aeon, PLAID with sktime
(folder datasets/data of their wheels): copy them to $SEQMODELS_DATA_DIR/ucr-uea. Each run is a command in a process of
its own, kept in docs/results.json and not run again (--again does). Exits with 1 where a baseline is better.
"""

import argparse
import os
import sys

from tabulating.page import between_marks, markdown
from tabulating.runs import STORE, Run, load, run_all

BASELINES = {
    "majority": "majority class",
    "bag_of_words": "bag of words",
    "nearest_neighbour": "nearest neighbour",
    "summary": "summary statistics",
}
ARCHIVE = ["ACSF1", "ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "OSULeaf", "PLAID"]
ARCHIVE += ["PickupGestureWiimoteZ", "UnitTest"]
COMMANDS = {
    "ag_news": "data=text_csv data.path=${oc.env:SEQMODELS_DATA_DIR}/ag_news/ag_news_csv/test.csv.gz data.header=false "
    "data.text=[1,2] data.label=0",
    **{name: f"data={name}" for name in ("imdb", "names", "sst2", "digits", "japanese_vowels", "mnist")},
    **{name: f"data=ucr_uea data.name={name}" for name in ARCHIVE},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", choices=[[], *COMMANDS])
    parser.add_argument("--again", action="store_true", help="run also what is known")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    names = arguments.sets or list(COMMANDS)
    failed = []
    if not arguments.render:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        known = {} if arguments.again else load(STORE)
        failed = run_all([command(name) for name in names if command(name) not in known], STORE, jobs=arguments.jobs)
    known = load(STORE)
    between_marks(STORE.with_name("results.md"), "first runs", f"{table(known)}\n\n{measured_on(known)}")
    lost = [name for name in names if (run := known.get(command(name))) and own(run) < best_baseline(run)]
    print("worse than a baseline: " + ", ".join(lost) if lost else "no baseline is better")
    return int(bool(lost or failed))


def command(name: str) -> str:
    return f"seqmodels train {COMMANDS[name]} seed=1"


def own(run: Run) -> float:
    accuracy: float = run["metrics"]["test/accuracy"]
    return accuracy


def best_baseline(run: Run) -> float:
    return max(run["metrics"].get(f"test/{name}_accuracy", 0.0) for name in BASELINES)


def table(known: dict[str, Run]) -> str:
    """Return accuracies on the test split as a table in Markdown."""
    rows = []
    for name, words in COMMANDS.items():
        if (run := known.get(command(name))) is None:
            continue
        metrics = run["metrics"]
        cells = [f"{own(run):.3f}" + (" (lost)" if own(run) < best_baseline(run) else "")]
        cells += [f"{metrics[key]:.3f}" if (key := f"test/{each}_accuracy") in metrics else "" for each in BASELINES]
        rows.append([f"`{words}`", *cells, f"{metrics['steps']:.0f}", f"{metrics['seconds'] / 60:.1f}"])
    return markdown(["`seqmodels train`", "network", *BASELINES.values(), "steps", "minutes"], rows)


def measured_on(known: dict[str, Run]) -> str:
    """Return what the table does not say of its runs: the machines and dates."""
    runs = [known[command(name)] for name in COMMANDS if command(name) in known]
    dates, machines = (sorted({run[key] for run in runs}) for key in ("date", "machine"))
    return f"Seed 1, one CPU thread beside other work. {', '.join(dates)}, {', '.join(machines)}."


if __name__ == "__main__":
    sys.exit(main())
