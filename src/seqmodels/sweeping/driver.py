"""A sweep: its trials, then the best few trials again with other seeds."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from seqmodels.errors import ConfigError
from seqmodels.sweeping.claims import Claims
from seqmodels.sweeping.space import Space
from seqmodels.sweeping.study import CONFIRMATION, Facts, join, open_storage, open_study, quiet_optuna, sampler_for
from seqmodels.sweeping.watch import Watch
from seqmodels.sweeping.worker import Limits, Run, counted, work

DEFAULT = -1  # trial number that stands for the configuration without the overrides of the sweep
Train = Callable[[list[str], Path, Watch], Mapping[str, float]]


@dataclass(frozen=True)
class Sweep:
    """A sweep in a folder.

    ``settings`` is the node ``sweep`` of the configuration as plain data, ``overrides`` are the user's overrides for
    all trials, and ``seed`` is their training seed; ``train(overrides, folder, watch)`` trains a trial and returns its
    metrics.
    """

    folder: Path
    settings: Mapping[str, Any]
    overrides: list[str]
    config_dir: str | None
    seed: int
    train: Train

    def run(self) -> tuple[Study, Study | None]:
        """Run trials until the sweep has ended; return its study, and that of the confirmation if requested.

        Raises:
            ConfigError: a setting is wrong, or the folder holds another sweep.
            KeyboardInterrupt: the user stops this process.
        """
        check_settings(self.settings)
        space = Space(self.settings["space"])
        claims = Claims(self.folder / "claims", self.settings["heartbeat"])
        with quiet_optuna():
            with claims.lock:
                facts = self._facts()
                name = join(self.folder, self.settings["storage"], facts)
                storage = open_storage(self.settings["storage"], self.folder)
                study = open_study(storage, name, facts.objectives, self.settings["pruner"])
                total = self._enqueue_grid(study, space) if self.settings["grid"] else int(self.settings["trials"])
            again = shlex.quote(f"sweep.dir={self.folder}")
            _log(f"{total} trials in {self.folder}; {again} with the same command joins or continues")

            def ask() -> Trial:
                study.sampler = sampler_for(self.settings["sampler"], self.settings["seed"], study)
                trial = study.ask()
                space.suggest(trial)
                return trial

            limits = Limits(total, self.settings["timeout"], self.settings["plateau"], self.settings["retries"])
            report = _ProgressPrinter(study, total)
            ended = work(study, claims, ask, self._trial(space, facts.objectives), limits=limits, report=report)
            _log(f"the sweep has ended: {ended}")
            if not self.settings["confirm_seeds"]:
                return study, None
            return study, self._confirm(study, space, facts.objectives)

    @property
    def common(self) -> list[str]:
        """The overrides of all trials: the sweep's own, then the user's."""
        return [*self.settings["overrides"], *self.overrides]

    def _facts(self) -> Facts:
        settings = self.settings
        return Facts(objectives_of(settings), settings["space"], settings["overrides"], self.overrides, self.config_dir)

    def _enqueue_grid(self, study: Study, space: Space) -> int:
        grid = space.grid()[: self.settings["trials"]]
        for point in grid:
            study.enqueue_trial(point, skip_if_exists=True)
        return len(grid)

    def _trial(self, space: Space, objectives: Mapping[str, str]) -> Run:
        def run(trial: Trial) -> Sequence[float]:
            overrides = [*self.common, *space.overrides(trial.params)]
            return self._train(trial, overrides, folder_of(trial.number), Watch(objectives, trial))

        return run

    def _confirm(self, study: Study, space: Space, objectives: Mapping[str, str]) -> Study:
        """Train the best few trials and the default configuration with new seeds."""
        best = {trial.number: trial for trial in ranked(study)[: self.settings["confirm_top"]]}
        seeds = [self.seed + 1 + index for index in range(self.settings["confirm_seeds"])]
        claims = Claims(self.folder / "claims" / "confirmation", self.settings["heartbeat"])
        with claims.lock:
            confirmation = open_study(study._storage, CONFIRMATION + study.study_name, objectives)
            for number in (DEFAULT, *best):
                for seed in seeds:
                    confirmation.enqueue_trial({"trial": number, "seed": seed}, skip_if_exists=True)
            total = len([t for t in confirmation.get_trials(deepcopy=False) if not t.state.is_finished()])
            total += len(counted(confirmation.get_trials(deepcopy=False)))

        def ask() -> Trial:
            trial = confirmation.ask()
            trial.suggest_int("trial", DEFAULT, 10**9)
            trial.suggest_int("seed", 0, 2**32)
            return trial

        def run(trial: Trial) -> Sequence[float]:
            number, seed = trial.params["trial"], trial.params["seed"]
            params = study.get_trials(deepcopy=False)[number].params if number != DEFAULT else {}
            overrides = [*self.common, *space.overrides(params), "test=true", f"seed={seed}"]
            name = "default" if number == DEFAULT else f"{number:04d}"
            return self._train(trial, overrides, f"confirmation/{name}_seed_{seed}", Watch(objectives))

        _log(f"training the {len(best)} best and the default with the seeds {seeds[0]} to {seeds[-1]}")
        report = _ProgressPrinter(confirmation, total)
        limits = Limits(total, retries=self.settings["retries"])
        work(confirmation, claims, ask, run, limits=limits, report=report)
        return confirmation

    def _train(self, trial: Trial, overrides: list[str], place: str, watch: Watch) -> list[float]:
        metrics = self.train(overrides, self.folder / place, watch)
        trial.set_user_attr("metrics", dict(metrics))
        return watch.values(metrics)


def folder_of(number: int) -> str:
    """Return the folder of a trial, relative to that of the sweep."""
    return f"trials/{number:04d}"


def ranked(study: Study) -> list[FrozenTrial]:
    """Return the complete trials, best first; for several objectives the Pareto front, sorted by the first one."""
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    trials = complete if len(study.directions) == 1 else study.best_trials
    sign = 1 if study.directions[0].name == "MINIMIZE" else -1
    return sorted(trials, key=lambda trial: sign * trial.values[0])


def objectives_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the metrics that a sweep optimises, and the direction of each.

    Raises:
        ConfigError: there is none, or one is named twice.
    """
    named = {"minimize": settings["minimize"] or [], "maximize": settings["maximize"] or []}
    objectives: dict[str, str] = {}
    for direction, names in named.items():
        for name in [names] if isinstance(names, str) else names:
            if name in objectives:
                raise ConfigError(f"sweep.{direction}: {name} is named twice")
            objectives[str(name)] = direction
    if not objectives:
        raise ConfigError("sweep.minimize or sweep.maximize must name a metric, such as val/loss")
    return objectives


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check the numeric settings of a sweep.

    Raises:
        ConfigError: one of them is out of range.
    """
    minimums = {"trials": 1, "plateau": 1, "retries": 0, "confirm_seeds": 0, "confirm_top": 1, "seed": 0}
    optional = {"plateau", "timeout"} | ({"trials"} if settings["grid"] else set())
    for name, minimum in minimums.items():
        value = settings[name]
        if value is None and name in optional:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ConfigError(f"sweep.{name} must be a whole number of at least {minimum}, got {value!r}")
    for name in ("timeout", "heartbeat"):
        value = settings[name]
        if value is None and name in optional:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise ConfigError(f"sweep.{name} must be a number of seconds above 0, got {value!r}")


class _ProgressPrinter:
    """Print a line for each trial of this process."""

    def __init__(self, study: Study, total: int) -> None:
        self.study = study
        self.total = total

    def __call__(self, trial: FrozenTrial) -> None:
        done = len(counted(self.study.get_trials(deepcopy=False)))
        chosen = " ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        names = self.study.metric_names or []
        result = "  ".join(f"{name} {value:.4g}" for name, value in zip(names, trial.values or (), strict=False))
        state = trial.state.name.lower()
        outcome = result if state == "complete" else f"{state}: {trial.user_attrs.get('cause')}"
        seconds = f"  {trial.duration.total_seconds():.1f} s" if trial.duration else ""
        _log(f"{done}/{self.total} trial {trial.number}  {outcome}  ({chosen}){seconds}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
