"""Monitoring of a trial in training: its best validation so far, pruning, and NaN checks."""

import math
from collections.abc import Mapping

from lightning.pytorch import Callback, LightningModule, Trainer
from optuna import TrialPruned
from optuna.trial import Trial

from seqmodels.errors import NoSuchMetric, nearest

Objectives = Mapping[str, str]  # a metric, and whether to "minimize" or "maximize" it


class Watch:
    """Track the best value of each objective over the validations of one trial, and stop a trial to prune.

    With ``trial`` given, each validation is reported to the pruner of its study; with several objectives there is no
    pruning.
    """

    def __init__(self, objectives: Objectives, trial: Trial | None = None) -> None:
        self.objectives = objectives
        self.trial = trial if len(objectives) == 1 else None
        self.best: dict[str, float] = {}

    def update(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of validation number ``step``.

        Raises:
            ConfigError: an objective is not among the metrics.
            FloatingPointError: an objective is NaN.
            TrialPruned: the trial is behind the others.
        """
        for name, direction in self.objectives.items():
            if not name.startswith("val/"):
                continue
            value = _number(metrics, name)
            if math.isnan(value):
                raise FloatingPointError(f"{name} was nan at validation {step}")
            better = min if direction == "minimize" else max
            self.best[name] = better(self.best.get(name, value), value)
            if self.trial is not None:
                self.trial.report(value, step - 1)  # optuna counts from 0
                if self.trial.should_prune():
                    raise TrialPruned(f"{name} was {value:.4g} at validation {step}, behind other trials")

    def values(self, metrics: Mapping[str, float]) -> list[float]:
        """Return the objectives of a finished run: the best value of a validation metric, the last of others.

        Raises:
            ConfigError: an objective is not among the metrics.
            FloatingPointError: an objective is NaN.
        """
        known = {**metrics, **self.best}
        values = [_number(known, name) for name in self.objectives]
        for name, value in zip(self.objectives, values, strict=True):
            if math.isnan(value):
                raise FloatingPointError(f"{name} is nan")
        return values


class WatchValidation(Callback):
    """Update a :class:`Watch` after every validation of a run."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.count = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if not trainer.sanity_checking:
            self.count += 1
            self.watch.update({name: float(value) for name, value in trainer.callback_metrics.items()}, self.count)


def _number(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        names = sorted(metrics)
        raise NoSuchMetric(f"sweep: no run has the metric {name!r}{nearest(name, names)} (metrics: {', '.join(names)})")
    return float(metrics[name])
