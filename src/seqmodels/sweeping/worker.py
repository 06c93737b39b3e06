"""The loop of each process of a sweep: claim a trial, run it, record its outcome, until the sweep has ended.

Claiming and recording happen under one lock, so that no trial runs twice, none is lost between two processes, and a
study never exceeds the requested number of trials.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from optuna import Study, TrialPruned, create_trial
from optuna.trial import FrozenTrial, Trial, TrialState

from seqmodels.config.variables import concealed
from seqmodels.errors import ConfigError, NoSuchMetric
from seqmodels.sweeping.claims import Claims

POLL = 0.5  # seconds between checks of trials that other processes still run
RERUN_AS = "runs_again"  # attribute of a lost trial: the number of the trial that replaces it


class Outcome(NamedTuple):
    """The outcome of a trial: its state, the values of its objectives, or the cause of their absence."""

    state: TrialState
    values: Sequence[float] | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Limits:
    """Conditions under which a process starts no further trial.

    ``trials`` is the number for the whole study, over all processes and runs of the command; lost trials, which are
    rerun, do not count. ``seconds`` counts from the start of this command. ``plateau`` ends the study after that many
    consecutive trials without improvement.
    """

    trials: int
    seconds: float | None = None
    plateau: int | None = None
    retries: int = 2


Run = Callable[[Trial], Sequence[float]]
Ask = Callable[[], Trial]
Report = Callable[[FrozenTrial], None]


def work(study: Study, claims: Claims, ask: Ask, run: Run, *, limits: Limits, report: Report = lambda _: None) -> str:
    """Run trials of a study until it has ended; return the reason for its end.

    ``ask`` returns a trial with its parameters chosen, ``run`` the values of its objectives; an exception in ``run``
    fails the trial only. ``report`` is called after each trial of this process.

    Raises:
        NoSuchMetric: no trial can succeed.
        KeyboardInterrupt: the user stops this process; its trial will be rerun.
    """
    started = time.monotonic()
    while True:
        with claims.lock:
            _requeue_lost(study, claims, limits.retries)
            trials = study.get_trials(deepcopy=False)
            ended = _ended(study, trials, limits, time.monotonic() - started)
            busy = any(trial.state == TrialState.RUNNING for trial in trials)
            trial = None
            if ended is None and len(_started(trials)) < limits.trials:
                trial = ask()
                claims.take(trial.number)
        if trial is not None:
            with claims.heartbeat(trial.number):
                finished = _run(study, claims, trial, run)
            if finished is not None:
                report(finished)
        elif ended is not None or not busy:
            return ended or f"all {limits.trials} trials are done"
        else:
            time.sleep(POLL)


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have ended in any state, without those that are rerun under another number."""
    return [trial for trial in trials if trial.state.is_finished() and RERUN_AS not in trial.user_attrs]


def failed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have failed and are not rerun."""
    return [trial for trial in counted(trials) if trial.state == TrialState.FAIL]


def trials_since_improvement(study: Study, trials: Sequence[FrozenTrial]) -> int:
    """Return the number of trials since the last one that was better than (or not dominated by) all before it."""
    signs = [1 if direction.name == "MINIMIZE" else -1 for direction in study.directions]
    seen: list[list[float]] = []
    passed = 0
    for trial in sorted(counted(trials), key=_end):
        values = [sign * value for sign, value in zip(signs, trial.values or (), strict=False)]
        complete = trial.state == TrialState.COMPLETE
        worse = not complete or any(all(o <= v for o, v in zip(old, values, strict=True)) for old in seen)
        passed = passed + 1 if worse else 0
        if complete:
            seen.append(values)
    return passed


def _end(trial: FrozenTrial) -> datetime:
    assert trial.datetime_complete is not None
    return trial.datetime_complete


def _ended(study: Study, trials: Sequence[FrozenTrial], limits: Limits, seconds: float) -> str | None:
    if limits.seconds is not None and seconds >= limits.seconds:
        return f"{limits.seconds:g} seconds have passed"
    if limits.plateau is not None and trials_since_improvement(study, trials) >= limits.plateau:
        return f"{limits.plateau} consecutive trials were no better"
    return None


def _started(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [*counted(trials), *(trial for trial in trials if trial.state == TrialState.RUNNING)]


def _run(study: Study, claims: Claims, trial: Trial, run: Run) -> FrozenTrial | None:
    """Run a trial and record its outcome; return it, or None if another process has declared it lost meanwhile."""
    try:
        outcome = _outcome(trial, run)
    except (NoSuchMetric, KeyboardInterrupt, SystemExit) as error:
        with claims.lock:
            now = study.get_trials(deepcopy=False)[trial.number]
            _requeue(study, now, "interrupted", now.user_attrs.get("losses", 0))
            claims.release(trial.number)
        if isinstance(error, SystemExit):  # raised by Lightning after an interrupt
            raise KeyboardInterrupt from error
        raise
    with claims.lock:
        now = study.get_trials(deepcopy=False)[trial.number]
        if now.state != TrialState.RUNNING:  # this process was suspended for too long
            return None
        if outcome.cause is not None:
            trial.set_user_attr("cause", outcome.cause)
        finished = study.tell(trial.number, outcome.values, outcome.state)
        claims.release(trial.number)
    return finished


def _outcome(trial: Trial, run: Run) -> Outcome:
    try:
        return Outcome(TrialState.COMPLETE, run(trial))
    except TrialPruned as reason:
        return Outcome(TrialState.PRUNED, cause=str(reason))
    except NoSuchMetric:
        raise
    except Exception as error:
        message = str(error).strip().splitlines()
        kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
        return Outcome(TrialState.FAIL, cause=concealed(f"{kind}{message[0] if message else 'no message'}"))


def _requeue_lost(study: Study, claims: Claims, retries: int) -> None:
    """Requeue the trials whose processes have died; a trial that is lost too often fails."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if claims.is_alive(trial.number):
            continue
        losses = trial.user_attrs.get("losses", 0) + 1
        if losses <= retries:
            _requeue(study, trial, "its process was lost", losses)
        else:
            _set_attribute(study, trial, "cause", f"its process was lost {losses} times")
            study.tell(trial.number, state=TrialState.FAIL)
        claims.release(trial.number)


def _requeue(study: Study, trial: FrozenTrial, cause: str, losses: int) -> None:
    """Enqueue a copy of a trial, then close the trial; a process killed in between leaves exactly one copy."""
    copies = [t.number for t in study.get_trials(deepcopy=False) if t.user_attrs.get("copy_of") == trial.number]
    if not copies:
        origin = {key: value for key, value in trial.user_attrs.items() if key != "cause"}
        study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={**origin, "copy_of": trial.number, "losses": losses},
                system_attrs={k: v for k, v in trial.system_attrs.items() if k == "fixed_params"},
            )
        )
        copies = [len(study.get_trials(deepcopy=False)) - 1]
    _set_attribute(study, trial, RERUN_AS, copies[0])
    _set_attribute(study, trial, "cause", cause)
    study.tell(trial.number, state=TrialState.FAIL)


def _set_attribute(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    study._storage.set_trial_user_attr(
        trial._trial_id, key, value
    )  # optuna's public method is for the trial's own process
