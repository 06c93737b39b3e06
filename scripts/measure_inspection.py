"""Print what looking into a run costs: gradient_flow of the time of training, record.json and report.html of a run.

    python scripts/measure_inspection.py        # takes three minutes; needs no files

Seconds are those of the processor, which other programs disturb less than those of a clock. The share is the callback's
own, by the clock: the largest that it logged, and the last.
"""

import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from omegaconf import open_dict

from seqmodels.config.compose import compose
from seqmodels.inspection.report.history import read_history
from seqmodels.inspection.report.single import write_report
from seqmodels.training.fit import train
from seqmodels.training.recording.callback import RunRecord

TRAININGS = {
    "digits, 40 epochs": ["data=digits", "trainer.max_epochs=40"],
    "python_docs, 800 steps": ["data=python_docs", "trainer.max_epochs=50", "trainer.max_steps=800",
                               "trainer.limit_val_batches=10", "trainer.limit_test_batches=10"],
}  # fmt: skip
PLAIN = ["trainer=cpu", "baselines=false", "callbacks.progress=null", "callbacks.early_stopping=null"]
FLOW = "callbacks=[default,gradient_flow]"


class Clock(Callback):
    """Measure the training, without what comes before and after it."""

    def on_train_start(self, *_: Any) -> None:
        self.start = time.process_time()

    def on_train_end(self, *_: Any) -> None:
        self.seconds = time.process_time() - self.start


def counted(spent: list[float], method: Callable[..., None]) -> Callable[..., None]:
    """Return a method that adds the time that it takes."""

    @wraps(method)
    def timed(*args: Any) -> None:
        start = time.process_time()
        method(*args)
        spent.append(time.process_time() - start)

    return timed


def main() -> None:
    spent: list[float] = []
    for name, method in list(vars(RunRecord).items()):
        if name.startswith("on_"):
            setattr(RunRecord, name, counted(spent, method))
    for title, overrides in TRAININGS.items():
        for more in ([], [FLOW]):
            config = compose("train", [*overrides, *PLAIN, *more])
            clock, start = Clock(), time.process_time()
            spent.clear()
            with tempfile.TemporaryDirectory() as folder:
                with open_dict(config):
                    del config["hydra"]
                config.paths.output_dir, config.name, config.run_name = folder, "measured", "measured"
                train(config, clock)
                run = time.process_time() - start
                start = time.process_time()
                write_report(Path(folder))
                report = time.process_time() - start
                shares = read_history(Path(folder)).get("gradient_flow/share")
            flow = "without gradient_flow" if not more else "with gradient_flow"
            print(f"{title}, {flow}: training {clock.seconds:.1f} s, run {run:.1f} s, of it record.json "
                  f"{sum(spent):.2f} s; report {report:.2f} s")  # fmt: skip
            if shares is not None:
                values = shares.values
                print(f"  {len(values)} measurements, share at most {max(values):.1%}, at the end {values[-1]:.1%}")


if __name__ == "__main__":
    main()
