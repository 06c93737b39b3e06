"""What each process of a sweep does: take a trial, run it, write down what came of it, until there are enough.

Taking and settling happen under one lock, so that no trial is taken twice, none is lost between two processes, and a
study never grows beyond what was asked for.
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

POLL = 0.5  # seconds between two looks at trials that other processes still run
AGAIN = "runs_again"  # what a trial that was lost, or a copy of one, says of the other: its number


class Outcome(NamedTuple):
    """What came of a trial: its state, the values of its objectives, and why it has none."""

    state: TrialState
    values: Sequence[float] | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Limits:
    """When a process takes no further trial.

    ``trials`` is the number of the whole study, over all processes and runs of the command; lost trials, which run
    again, do not count. ``seconds`` counts from the start of this command. ``plateau`` ends the study when so many
    trials in a row were no better than those before them.
    """

    trials: int
    seconds: float | None = None
    plateau: int | None = None
    retries: int = 2


Run = Callable[[Trial], Sequence[float]]
Ask = Callable[[], Trial]
Tell = Callable[[FrozenTrial], None]


def work(study: Study, claims: Claims, ask: Ask, run: Run, *, limits: Limits, tell: Tell = lambda _: None) -> str:
    """Take part in a study until it has ended; return why.

    ``ask`` returns a trial with its parameters chosen, ``run`` the values of its objectives; what ``run`` raises is the
    trial's failure and no more. ``tell`` is called after each trial of this process.

    Raises:
        NoSuchMetric: no trial can succeed.
        KeyboardInterrupt: the user ends this process; its trial will run again.
    """
    started = time.monotonic()
    while True:
        with claims.lock:
            _requeue_lost(study, claims, limits.retries)
            trials = study.get_trials(deepcopy=False)
            ended = _ended(study, trials, limits, time.monotonic() - started)
            busy = any(trial.state == TrialState.RUNNING for trial in trials)
            trial = None
            if ended is None and len(_taken(trials)) < limits.trials:
                trial = ask()
                claims.take(trial.number)
        if trial is not None:
            with claims.hold(trial.number):
                settled = _run(study, claims, trial, run)
            if settled is not None:
                tell(settled)
        elif ended is not None or not busy:
            return ended or f"all {limits.trials} trials are done"
        else:
            time.sleep(POLL)


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have ended, whichever way, without those that run again under another number."""
    return [trial for trial in trials if trial.state.is_finished() and AGAIN not in trial.user_attrs]


def failed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that have failed for good."""
    return [trial for trial in counted(trials) if trial.state == TrialState.FAIL]


def since_better(study: Study, trials: Sequence[FrozenTrial]) -> int:
    """Return how many trials have ended since one was better than, or for several objectives beside, all before it."""
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
        return f"{limits.seconds:g} seconds are over"
    if limits.plateau is not None and since_better(study, trials) >= limits.plateau:
        return f"{limits.plateau} trials in a row were no better"
    return None


def _taken(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [*counted(trials), *(trial for trial in trials if trial.state == TrialState.RUNNING)]


def _run(study: Study, claims: Claims, trial: Trial, run: Run) -> FrozenTrial | None:
    """Run a trial and settle it; return it, or None when another process has given it up meanwhile."""
    try:
        outcome = _outcome(trial, run)
    except (NoSuchMetric, KeyboardInterrupt, SystemExit) as error:
        with claims.lock:
            now = study.get_trials(deepcopy=False)[trial.number]
            _requeue(study, now, "interrupted", now.user_attrs.get("losses", 0))
            claims.drop(trial.number)
        if isinstance(error, SystemExit):  # Lightning's answer to an interrupt
            raise KeyboardInterrupt from error
        raise
    with claims.lock:
        now = study.get_trials(deepcopy=False)[trial.number]
        if now.state != TrialState.RUNNING:  # this process stood still too long
            return None
        if outcome.cause is not None:
            trial.set_user_attr("cause", outcome.cause)
        settled = study.tell(trial.number, outcome.values, outcome.state)
        claims.drop(trial.number)
    return settled


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
    """Put the trials whose processes are gone into the queue again; a trial that is lost too often has failed."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if claims.is_alive(trial.number):
            continue
        losses = trial.user_attrs.get("losses", 0) + 1
        if losses <= retries:
            _requeue(study, trial, "its process was lost", losses)
        else:
            _note(study, trial, "cause", f"its process was lost {losses} times")
            study.tell(trial.number, state=TrialState.FAIL)
        claims.drop(trial.number)


def _requeue(study: Study, trial: FrozenTrial, cause: str, losses: int) -> None:
    """Put a copy of a trial into the queue, then close the trial; whoever is killed in between leaves one copy."""
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
    _note(study, trial, AGAIN, copies[0])
    _note(study, trial, "cause", cause)
    study.tell(trial.number, state=TrialState.FAIL)


def _note(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    study._storage.set_trial_user_attr(trial._trial_id, key, value)  # optuna lets only its own process do that
