"""Gradient flow through time during training, within a budget of time."""

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from seqmodels.inspection.flow import over_time
from seqmodels.inspection.jacobians import lyapunov_exponent
from seqmodels.inspection.memory import half_life, memory_curve
from seqmodels.inspection.recording import Recording, recorded
from seqmodels.sequence import map_leaves

log = logging.getLogger("seqmodels")


class GradientFlow(Callback):
    """Log during training how far back gradients reach, as often as a share of the time of training allows.

    For each cell it logs ``gradient_flow/half_life/<cell>``, the steps over which the gradient of the last output
    halves, and ``gradient_flow/exponent/<cell>``, the largest Lyapunov exponent in nats per step; each is the median of
    a few sequences of a training batch. It follows the gradients of the training step itself, on the usual back-ends,
    and changes no number of the training. Graphs of ``torch.compile`` are not followed.

    ``gradient_flow/share`` is the share of the time since the training began that measuring has taken. A measurement
    takes time for each step of a sequence, so that a short training on long sequences may have none: the last message
    says so.

    Args:
        budget: the share of the time of training that measuring may take.
        rows: sequences of the batch that are followed.

    Raises:
        ValueError: ``budget`` does not lie between 0 and 1, or ``rows`` is less than 1.

    Example:
        >>> GradientFlow(budget=0.02).rows
        4
    """

    def __init__(self, *, budget: float = 0.05, rows: int = 4) -> None:
        if not 0 < budget < 1:
            raise ValueError(f"budget must lie between 0 and 1, got {budget}")
        if rows < 1:
            raise ValueError(f"rows must be at least 1, got {rows}")
        self.rows = rows
        self.allowance = Allowance(budget)
        self._watching = ExitStack()
        self._recordings: list[Recording] | None = None
        self._steps = 0  # in the longest batch recorded so far, summed over its cells

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.allowance.start(time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.loggers and trainer.is_global_zero and self.allowance.permits(self._steps, time.perf_counter()):
            self._recordings = self._watching.enter_context(recorded(getattr(pl_module, "model", pl_module)))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        if self._recordings is None:
            return
        self._watching.close()
        started, recordings, self._recordings = time.perf_counter(), self._recordings, None
        steps = sum(each.x.shape[1] for each in recordings)
        self._steps = max(self._steps, steps)
        if not self.allowance.permits(steps, started):  # it is longer than any before
            return
        try:
            with torch.random.fork_rng(devices=[]):  # the step of a cell of the user's own may draw
                metrics = measured(recordings, self.rows)
        except Exception as error:  # of a cell of the user's own: no reason to end the training
            log.warning("the callback gradient_flow is off: %s", str(error) or repr(error))
            self.allowance.close()
            return
        now = time.perf_counter()
        self.allowance.spend(now - started, steps)
        metrics["gradient_flow/share"] = self.allowance.share(now)
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.fit_loop.epoch_loop._batches_that_stepped)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.loggers and trainer.is_global_zero and self.allowance.open:
            log.info("the callback gradient_flow %s", self.allowance.summary(self._steps, time.perf_counter()))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self._watching.close()


class Allowance:
    """Decides whether there is time for another measurement.

    Each step is expected to take twice as long as the slowest so far, since the time of a step varies with what else
    the machine does.

    Args:
        budget: the share of all time that measurements may take.

    Example:
        >>> allowance = Allowance(0.1)
        >>> allowance.start(now=100.0)
        >>> allowance.spend(2.0, steps=50)
        >>> allowance.permits(50, now=159.0), allowance.permits(50, now=161.0)
        (False, True)
    """

    BEGIN, FIRST = 1.0, 0.004
    """Seconds that the first measurement is expected to take, and each of its steps: much more than on an idle CPU."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.open = True
        self.start(0.0)

    def start(self, now: float) -> None:
        """Begin to count the time, in seconds."""
        self._started, self.spent, self.count, self._slowest = now, 0.0, 0, 0.0

    def permits(self, steps: int, now: float) -> bool:
        """Return whether a measurement of so many steps, of all cells together, would stay within the budget."""
        return self.open and self.spent + self._expected(steps) <= self.budget * (now - self._started)

    def spend(self, seconds: float, steps: int) -> None:
        """Count a measurement."""
        self.spent += seconds
        self.count += 1
        self._slowest = max(self._slowest, seconds / steps)

    def share(self, now: float) -> float:
        """Return the share of the time so far that measurements took."""
        return self.spent / (now - self._started)

    def close(self) -> None:
        """Permit no further measurement."""
        self.open = False

    def summary(self, steps: int, now: float) -> str:
        """Return in words what was measured, and if nothing was, why."""
        if self.count:
            kind = "measurement" if self.count == 1 else "measurements"
            return f"took {self.spent:.2f} s for {self.count} {kind}, {self.share(now):.1%} of the training"
        return (
            f"measured nothing: that may take {self._expected(steps):.1f} s, which is more than "
            f"{100 * self.budget:.3g} % of a training of {now - self._started:.1f} s; "
            "callbacks.gradient_flow.budget allows more"
        )

    def _expected(self, steps: int) -> float:
        return 2 * steps * self._slowest if self.count else self.BEGIN + steps * self.FIRST


def measured(recordings: list[Recording], rows: int) -> dict[str, float]:
    """Return half-life and exponent of each cell, the median of the first ``rows`` sequences; none that is unknown."""
    found: dict[str, float] = {}
    for each in over_time(recordings):
        few = first_rows(each, rows)
        states = few.trajectory(torch.float64)
        values = {
            "half_life": half_life(memory_curve(states, few.output_gradient, few.final_gradient())),
            "exponent": lyapunov_exponent(states),
        }
        for name, numbers in values.items():
            known = numbers[~np.isnan(numbers)]
            if len(known):
                found[f"gradient_flow/{name}/{each.name}"] = float(np.median(known))
    return found


def first_rows(recording: Recording, rows: int) -> Recording:
    """Return the first rows of a recording."""

    def cut(tensor: Any) -> Any:
        return None if tensor is None else tensor[:rows]

    return replace(
        recording,
        x=cut(recording.x),
        state=map_leaves(cut, recording.state),
        lengths=cut(recording.lengths),
        resets=cut(recording.resets),
        output_gradient=cut(recording.output_gradient),
        state_gradient=recording.state_gradient and [cut(gradient) for gradient in recording.state_gradient],
    )
