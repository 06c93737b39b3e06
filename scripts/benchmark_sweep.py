"""What the driver of a sweep costs per trial, beyond the training itself.

    python scripts/benchmark_sweep.py --trials 12

One process runs a sweep of tiny trainings. What passes between the end of the first training and that of the last, less
the trainings themselves, is the driver's: choosing parameters, composing, checking, logs, storage, locks.
"""

import argparse
import sys
import tempfile
import time
from typing import Any

from seqmodels import training
from seqmodels.cli import run

SWEEP = [
    *("data=parity", "data.train_rows=64", "cell.hidden_size=5", "trainer=cpu", "trainer.limit_train_batches=1"),
    *("trainer.limit_val_batches=1", "trainer.max_epochs=1", "sweep=tpe", "sweep/space=empty"),
    "+sweep.space={optimizer.lr:{low:1e-4,high:1e-1,log:true},model.dropout_output:{low:0.0,high:0.5}}",
]


def measured(storage: str, trials: int) -> tuple[float, float, float]:
    """Return the seconds per trial beyond its training, by the wall and by the processor, and those of a training."""
    spans: list[tuple[tuple[float, float], tuple[float, float]]] = []
    train = training.train

    def timed(*arguments: Any) -> Any:
        begun = (time.perf_counter(), time.process_time())
        try:
            return train(*arguments)
        finally:
            spans.append((begun, (time.perf_counter(), time.process_time())))

    training.train = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            status = run(
                ["sweep", *SWEEP, f"sweep.trials={trials}", f"sweep.storage={storage}", f"sweep.dir='{folder}'"]
            )
    finally:
        training.train = train
    if status:
        raise SystemExit(status)
    beyond = [
        (spans[-1][1][clock] - spans[0][1][clock] - sum(end[clock] - begin[clock] for begin, end in spans[1:]))
        / (len(spans) - 1)
        for clock in (0, 1)
    ]
    return beyond[0], beyond[1], sum(end[0] - begin[0] for begin, end in spans[1:]) / (len(spans) - 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--storages", nargs="+", default=["sqlite", "journal"])
    options = parser.parse_args()
    figures = {storage: measured(storage, options.trials) for storage in options.storages}
    print("| storage | driver, wall s a trial | driver, processor s a trial | the training itself, wall s |")
    print("|---|---|---|---|")
    for storage, (wall, processor, own) in figures.items():
        print(f"| {storage} | {wall:.2f} | {processor:.2f} | {own:.2f} |")
    return int(any(wall >= 1.0 for wall, _, _ in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
